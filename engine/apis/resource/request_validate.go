package resource

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis/core"
)

// requestNames holds the names of a claim's requests, and of each those of its
// subrequests.
type requestNames map[string]sets.Set[string]

func namesOf(claim *v1.DeviceClaim) requestNames {
	names := requestNames{}
	for _, r := range claim.Requests {
		subs := sets.New[string]()
		for _, sub := range r.FirstAvailable {
			subs.Insert(sub.Name)
		}
		names[r.Name] = subs
	}
	return names
}

func (r requestNames) has(name string) bool {
	request, sub, isSub := strings.Cut(name, "/")
	subs, found := r[request]
	return found && (!isSub || subs.Has(sub))
}

// validateDevices checks what the generated validation leaves to code: names,
// references, expressions, and that each request says what it wants in one of the
// two ways.
func validateDevices(claim *v1.DeviceClaim, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := namesOf(claim)
	if len(claim.Requests) <= v1.DeviceRequestsMaxSize {
		for i := range claim.Requests {
			errs = append(errs, validateRequest(&claim.Requests[i], at.Child("requests").Index(i))...)
		}
	}
	if len(claim.Constraints) <= v1.DeviceConstraintsMaxSize {
		for i, c := range claim.Constraints {
			constraintAt := at.Child("constraints").Index(i)
			errs = append(errs, validateReferences(c.Requests, names, constraintAt.Child("requests"))...)
			if c.MatchAttribute == nil && c.DistinctAttribute == nil {
				errs = append(errs, field.Required(constraintAt, `exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`))
			}
		}
	}
	if len(claim.Config) <= v1.DeviceConfigMaxSize {
		for i, c := range claim.Config {
			configAt := at.Child("config").Index(i)
			errs = append(errs, validateReferences(c.Requests, names, configAt.Child("requests"))...)
			errs = append(errs, validateConfig(c.DeviceConfiguration, configAt)...)
		}
	}
	return errs
}

func validateRequest(r *v1.DeviceRequest, at *field.Path) field.ErrorList {
	errs := core.ValidateDNS1123Label(r.Name, at.Child("name"))
	switch {
	case r.Exactly == nil && len(r.FirstAvailable) == 0:
		errs = append(errs, field.Required(at, "exactly one of `exactly` or `firstAvailable` is required"))
	case r.Exactly != nil && len(r.FirstAvailable) > 0:
		errs = append(errs, field.Invalid(at, nil, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
	case r.Exactly != nil:
		e, at := r.Exactly, at.Child("exactly")
		if e.DeviceClassName == "" {
			errs = append(errs, field.Required(at.Child("deviceClassName"), ""))
		} else {
			errs = append(errs, core.ValidateDNS1123Subdomain(e.DeviceClassName, at.Child("deviceClassName"))...)
		}
		errs = append(errs, validateWanted(e.Selectors, e.AllocationMode, e.Count, e.Tolerations, at)...)
	case len(r.FirstAvailable) <= v1.FirstAvailableDeviceRequestMaxSize:
		for i := range r.FirstAvailable {
			sub, at := &r.FirstAvailable[i], at.Child("firstAvailable").Index(i)
			errs = append(errs, core.ValidateDNS1123Label(sub.Name, at.Child("name"))...)
			errs = append(errs, validateWanted(sub.Selectors, sub.AllocationMode, sub.Count, sub.Tolerations, at)...)
		}
	}
	return errs
}

// validateWanted checks what requests and subrequests have in common.
func validateWanted(selectors []v1.DeviceSelector, mode v1.DeviceAllocationMode, count int64, tolerations []v1.DeviceToleration, at *field.Path) field.ErrorList {
	errs := validateSelectors(selectors, at.Child("selectors"))
	switch {
	case mode == v1.DeviceAllocationModeAll && count != 0:
		errs = append(errs, field.Invalid(at.Child("count"), count, fmt.Sprintf("must not be specified when allocationMode is '%s'", mode)))
	case mode == v1.DeviceAllocationModeExactCount && count <= 0:
		errs = append(errs, field.Invalid(at.Child("count"), count, "must be greater than zero"))
	}
	return append(errs, validateTolerations(tolerations, at.Child("tolerations"))...)
}

func validateReferences(refs []string, names requestNames, at *field.Path) field.ErrorList {
	if len(refs) > v1.DeviceRequestsMaxSize {
		return nil // the generated validation says so
	}
	var errs field.ErrorList
	for i, name := range refs {
		errs = append(errs, reference(name, names, at.Index(i))...)
	}
	return errs
}

// reference checks the name of a request: "request" or "request/subrequest".
func reference(name string, names requestNames, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	parts := strings.Split(name, "/")
	if len(parts) <= 2 {
		for _, part := range parts {
			errs = append(errs, core.ValidateDNS1123Label(part, at)...)
		}
	}
	if len(parts) > 2 || !names.has(name) {
		errs = append(errs, field.Invalid(at, name, "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"))
	}
	return errs
}
