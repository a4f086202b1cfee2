package resource

import (
	"context"

	v1 "k8s.io/api/resource/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/dynamic-resource-allocation/structured"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

// maxDeviceConditions and maxDeviceIPs bound what a driver reports of a device.
const (
	maxDeviceConditions = 8
	maxDeviceIPs        = 16
)

// validateClaimStatus keeps an allocation while it is reserved, asks for one before
// anything is reserved, and holds what drivers report against what is allocated.
func validateClaimStatus(_ context.Context, c, old *v1.ResourceClaim) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	reservedAt := statusPath.Child("reservedFor")
	if len(c.Status.ReservedFor) <= v1.ResourceClaimReservedForMaxSize {
		for i, user := range c.Status.ReservedFor {
			errs = append(errs, required(user.Resource, reservedAt.Index(i).Child("resource"))...)
			errs = append(errs, required(user.Name, reservedAt.Index(i).Child("name"))...)
			errs = append(errs, required(string(user.UID), reservedAt.Index(i).Child("uid"))...)
		}
	}
	allocated := sets.New[structured.SharedDeviceID]()
	if a := c.Status.Allocation; a != nil {
		for _, r := range a.Devices.Results {
			allocated.Insert(structured.MakeSharedDeviceID(structured.MakeDeviceID(r.Driver, r.Pool, r.Device), r.ShareID))
		}
	}
	for i := range c.Status.Devices {
		errs = append(errs, validateDeviceStatus(&c.Status.Devices[i], allocated, statusPath.Child("devices").Index(i))...)
	}
	switch {
	case len(c.Status.ReservedFor) == 0:
	case c.Status.Allocation == nil:
		errs = append(errs, field.Forbidden(reservedAt, "may not be specified when `allocated` is not set"))
	case c.DeletionTimestamp != nil && sets.New(c.Status.ReservedFor...).Difference(sets.New(old.Status.ReservedFor...)).Len() > 0:
		errs = append(errs, field.Forbidden(reservedAt, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
	}
	if c.Status.Allocation != nil && old.Status.Allocation == nil {
		errs = append(errs, validateAllocation(c.Status.Allocation, namesOf(&c.Spec.Devices), statusPath.Child("allocation"))...)
	}
	return errs
}

func required(value string, at *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return nil
}

func validateDeviceStatus(d *v1.AllocatedDeviceStatus, allocated sets.Set[structured.SharedDeviceID], at *field.Path) field.ErrorList {
	errs := core.ValidateCSIDriverName(d.Driver, at.Child("driver"))
	errs = append(errs, validatePoolName(d.Pool, at.Child("pool"))...)
	errs = append(errs, core.ValidateDNS1123Label(d.Device, at.Child("device"))...)
	id := structured.MakeSharedDeviceID(structured.MakeDeviceID(d.Driver, d.Pool, d.Device), (*types.UID)(d.ShareID))
	if !allocated.Has(id) {
		errs = append(errs, field.Invalid(at, id, "must be an allocated device in the claim"))
	}
	if n := len(d.Conditions); n > maxDeviceConditions {
		errs = append(errs, field.TooMany(at.Child("conditions"), n, maxDeviceConditions))
	}
	errs = append(errs, metavalidation.ValidateConditions(d.Conditions, at.Child("conditions"))...)
	if d.Data != nil && len(d.Data.Raw) > 0 {
		errs = append(errs, validateRaw(*d.Data, at.Child("data"))...)
	}
	if n := d.NetworkData; n != nil && len(n.IPs) <= maxDeviceIPs {
		for i, ip := range n.IPs {
			errs = append(errs, validation.IsValidInterfaceAddress(at.Child("networkData", "ips").Index(i), ip)...)
		}
	}
	return errs
}

// validateAllocation checks a new allocation.
func validateAllocation(a *v1.AllocationResult, names requestNames, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	results, config := at.Child("devices", "results"), at.Child("devices", "config")
	if len(a.Devices.Results) <= v1.AllocationResultsMaxSize {
		for i := range a.Devices.Results {
			r, at := &a.Devices.Results[i], results.Index(i)
			errs = append(errs, reference(r.Request, names, at.Child("request"))...)
			errs = append(errs, core.ValidateDNS1123Label(r.Device, at.Child("device"))...)
			errs = append(errs, validateBinding(r.BindingConditions, r.BindingFailureConditions, at)...)
			errs = append(errs, validateTolerations(r.Tolerations, at.Child("tolerations"))...)
		}
	}
	if len(a.Devices.Config) <= 2*v1.DeviceConfigMaxSize {
		for i, c := range a.Devices.Config {
			errs = append(errs, validateReferences(c.Requests, names, config.Index(i).Child("requests"))...)
			errs = append(errs, validateConfig(c.DeviceConfiguration, config.Index(i))...)
		}
	}
	if a.NodeSelector != nil {
		errs = append(errs, core.ValidateNodeSelector(a.NodeSelector, at.Child("nodeSelector"))...)
	}
	return errs
}
