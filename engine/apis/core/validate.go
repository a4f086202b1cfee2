package core

import (
	"fmt"
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

const (
	notNegative = "must be greater than or equal to 0"
	immutable   = "field is immutable"
)

var (
	metadata = field.NewPath("metadata")
	// Protocols are those of ports, in the order messages list them.
	Protocols = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
)

// SupportedProtocol reports whether p is a protocol that ports may have.
func SupportedProtocol(p corev1.Protocol) bool { return slices.Contains(Protocols, p) }

// invalidEach makes one Invalid error per message.
func invalidEach(at *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range messages {
		errs = append(errs, field.Invalid(at, value, msg))
	}
	return errs
}

// ValidateDNS1123Label checks a name of a thing within an object.
func ValidateDNS1123Label(value string, at *field.Path) field.ErrorList {
	return invalidEach(at, value, utilvalidation.IsDNS1123Label(value))
}

// ValidateDNS1123Subdomain checks a name of an object.
func ValidateDNS1123Subdomain(value string, at *field.Path) field.ErrorList {
	return invalidEach(at, value, utilvalidation.IsDNS1123Subdomain(value))
}

// ValidateQualifiedName checks a name with an optional domain, as label keys are.
func ValidateQualifiedName(value string, at *field.Path) field.ErrorList {
	return invalidEach(at, value, utilvalidation.IsQualifiedName(value))
}

// validatePort checks a port number.
func validatePort(port int32, at *field.Path) field.ErrorList {
	return invalidEach(at, port, utilvalidation.IsValidPortNum(int(port)))
}

// oneOf reports a value outside a closed set; an empty value is missing.
func oneOf[T ~string](value T, at *field.Path, supported ...T) field.ErrorList {
	switch {
	case value == "":
		return field.ErrorList{field.Required(at, "")}
	case !slices.Contains(supported, value):
		return field.ErrorList{field.NotSupported(at, value, supported)}
	}
	return nil
}

// supported reports a value outside a closed set.
func supported[T ~string](value T, at *field.Path, values ...T) field.ErrorList {
	if !slices.Contains(values, value) {
		return field.ErrorList{field.NotSupported(at, value, values)}
	}
	return nil
}

func validateNotNegative(value int64, at *field.Path) field.ErrorList {
	return validation.ValidateNonnegativeField(value, at)
}

// ValidateEndpointIP refuses addresses that can be no endpoint: unspecified,
// loopback and link-local ones.
func ValidateEndpointIP(value string, at *field.Path) field.ErrorList {
	ip := netutils.ParseIPSloppy(value)
	if ip == nil {
		return field.ErrorList{field.Invalid(at, value, "must be a valid IP address")}
	}
	return validateNotSpecial(ip, value, at)
}

func validateNotSpecial(ip net.IP, value string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ip.IsUnspecified() {
		errs = append(errs, field.Invalid(at, value, fmt.Sprintf("may not be unspecified (%v)", value)))
	}
	if ip.IsLoopback() {
		errs = append(errs, field.Invalid(at, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
	}
	if ip.IsLinkLocalUnicast() {
		errs = append(errs, field.Invalid(at, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
	}
	if ip.IsLinkLocalMulticast() {
		errs = append(errs, field.Invalid(at, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"))
	}
	return errs
}

// ServiceNameMessages says what is wrong with the name of a service.
func ServiceNameMessages(name string, prefix bool) []string {
	return validation.NameIsDNS1035Label(name, prefix)
}

func isIPv6(ip string) bool { return netutils.IsIPv6String(ip) }
