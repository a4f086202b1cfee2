package registry

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestFamilies creates a service and, where there is a second document, updates it to
// that: the families and addresses it has then, or why it is refused.
func TestFamilies(t *testing.T) {
	const (
		one = "10.0.0.0/28"
		two = "10.0.0.0/28 fd00::/120"
		six = "fd00::/120 10.0.0.0/28"
	)
	for name, c := range map[string]struct{ cidrs, spec, update, want string }{
		"default":               {two, "{}", "", "SingleStack [IPv4] 4"},
		"default of the other":  {six, "{}", "", "SingleStack [IPv6] 6"},
		"prefer":                {two, "{ipFamilyPolicy: PreferDualStack}", "", "PreferDualStack [IPv4 IPv6] 46"},
		"prefer, one family":    {one, "{ipFamilyPolicy: PreferDualStack}", "", "PreferDualStack [IPv4] 4"},
		"require":               {two, "{ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6]}", "", "RequireDualStack [IPv6 IPv4] 64"},
		"require, one family":   {one, "{ipFamilyPolicy: RequireDualStack}", "", "this cluster is not configured for dual-stack services"},
		"family":                {two, "{ipFamilies: [IPv6]}", "", "SingleStack [IPv6] 6"},
		"family not there":      {one, "{ipFamilies: [IPv6]}", "", "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"},
		"address":               {two, "{clusterIP: 'fd00::5'}", "", "SingleStack [IPv6] 6"},
		"address not there":     {one, "{clusterIP: 'fd00::5'}", "", "IPv6 is not configured on this cluster"},
		"two, single":           {two, "{ipFamilies: [IPv4, IPv6]}", "", "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"},
		"family twice":          {two, "{ipFamilies: [IPv4, IPv4]}", "", "spec.ipFamilies[1]: Duplicate value"},
		"no address":            {two, "{clusterIP: zz}", "", "must be a valid IP address"},
		"outside":               {two, "{clusterIP: 10.9.0.1}", "", "failed to allocate IP 10.9.0.1: the provided network does not match the current range"},
		"headless":              {two, "{clusterIP: None, selector: {a: b}}", "", "SingleStack [IPv4] N"},
		"headless, dual":        {two, "{clusterIP: None, selector: {a: b}, ipFamilyPolicy: PreferDualStack}", "", "PreferDualStack [IPv4 IPv6] N"},
		"headless, free":        {one, "{clusterIP: None}", "", "RequireDualStack [IPv4 IPv6] N"},
		"upgrade":               {two, "{}", "{ipFamilyPolicy: RequireDualStack}", "RequireDualStack [IPv4 IPv6] 46"},
		"downgrade":             {two, "{ipFamilyPolicy: RequireDualStack}", "{ipFamilyPolicy: SingleStack}", "SingleStack [IPv4] 4"},
		"kept by a manifest":    {two, "{ipFamilyPolicy: RequireDualStack}", "{}", "RequireDualStack [IPv4 IPv6] 46"},
		"reduced without a say": {two, "{ipFamilyPolicy: RequireDualStack}", "{ipFamilies: [IPv4]}", "must be 'SingleStack' to release the secondary IP family"},
		"to a name":             {two, "{ipFamilyPolicy: RequireDualStack}", "{type: ExternalName}", " [] "},
	} {
		t.Run(name, func(t *testing.T) {
			a := &allocator{}
			var err error
			if a.ranges, err = newRanges(strings.Fields(c.cidrs)); err != nil {
				t.Fatal(err)
			}
			service, err := written(t, a, c.spec, nil)
			if err == nil && c.update != "" {
				service, err = written(t, a, c.update, service)
			}
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				return
			}
			if diff := cmp.Diff(c.want, summary(service)); diff != "" {
				t.Error(diff)
			}
			held := 0
			for _, r := range a.ranges {
				held += len(r.bits.mu.used)
			}
			if held != len(heldIPs(service)) {
				t.Errorf("%d addresses are taken, the service holds %v", held, service.Spec.ClusterIPs)
			}
		})
	}
}

// written is the service after a create, or an update of before.
func written(t *testing.T, a *allocator, spec string, before *corev1.Service) (*corev1.Service, error) {
	t.Helper()
	service := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}
	if err := yaml.UnmarshalStrict([]byte(spec), &service.Spec); err != nil {
		t.Fatal(err)
	}
	if before == nil {
		finish, err := a.beginCreate(context.Background(), service, &metav1.CreateOptions{})
		if err == nil {
			finish(context.Background(), true)
		}
		return service, err
	}
	finish, err := a.beginUpdate(context.Background(), service, before, &metav1.UpdateOptions{})
	if err == nil {
		finish(context.Background(), true)
	}
	return service, err
}

// summary is policy, families, and of each address its family.
func summary(service *corev1.Service) string {
	var b strings.Builder
	if p := service.Spec.IPFamilyPolicy; p != nil {
		b.WriteString(string(*p))
	}
	b.WriteString(" [")
	for i, f := range service.Spec.IPFamilies {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(string(f))
	}
	b.WriteString("] ")
	for _, ip := range service.Spec.ClusterIPs {
		b.WriteString(strings.TrimPrefix(string(familyOf(ip)), "IPv"))
		if ip == corev1.ClusterIPNone {
			b.WriteString("N")
		}
	}
	return b.String()
}
