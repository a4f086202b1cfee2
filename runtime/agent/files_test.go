package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "B_C": "two"}
	for in, want := range map[string]string{
		"$(A)":        "1",
		"x$(B_C)y":    "xtwoy",
		"$(NONE)":     "$(NONE)",
		"$$(A)":       "$(A)",
		"$$$(A)":      "$1",
		"$A ${A} $(A": "$A ${A} $(A",
		"cost: 5$":    "cost: 5$",
		"$(A)$(B_C)":  "1two",
	} {
		if got := expand(in, vars); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestServiceEnv(t *testing.T) {
	svc := func(ns, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
	}
	port := corev1.ServicePort{Name: "http-web", Port: 80, Protocol: corev1.ProtocolTCP}
	got := serviceEnv([]*corev1.Service{
		svc("ns", "my-web", "10.0.0.5", port), svc("ns", "headless", "None", port), svc("other", "hidden", "10.0.0.6", port),
		svc("default", "kubernetes", "10.0.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}),
	}, "ns")
	var lines []string
	for _, e := range got {
		lines = append(lines, e.Name+"="+e.Value)
	}
	want := `KUBERNETES_SERVICE_HOST=10.0.0.1
KUBERNETES_SERVICE_PORT=443
KUBERNETES_SERVICE_PORT_HTTPS=443
KUBERNETES_PORT=tcp://10.0.0.1:443
KUBERNETES_PORT_443_TCP=tcp://10.0.0.1:443
KUBERNETES_PORT_443_TCP_PROTO=tcp
KUBERNETES_PORT_443_TCP_PORT=443
KUBERNETES_PORT_443_TCP_ADDR=10.0.0.1
MY_WEB_SERVICE_HOST=10.0.0.5
MY_WEB_SERVICE_PORT=80
MY_WEB_SERVICE_PORT_HTTP_WEB=80
MY_WEB_PORT=tcp://10.0.0.5:80
MY_WEB_PORT_80_TCP=tcp://10.0.0.5:80
MY_WEB_PORT_80_TCP_PROTO=tcp
MY_WEB_PORT_80_TCP_PORT=80
MY_WEB_PORT_80_TCP_ADDR=10.0.0.5`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestResolvConf(t *testing.T) {
	host := dnsConfig{servers: []string{"192.0.2.53"}, search: []string{"corp.example"}, options: []string{"timeout:1"}}
	two := "2"
	custom := &corev1.PodDNSConfig{Nameservers: []string{"1.1.1.1"}, Searches: []string{"extra"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &two}, {Name: "edns0"}}}
	for name, tc := range map[string]struct {
		policy  corev1.DNSPolicy
		hostNet bool
		config  *corev1.PodDNSConfig
		want    string
	}{
		"cluster first":           {corev1.DNSClusterFirst, false, nil, "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.0.0.10\noptions ndots:5\n"},
		"default":                 {corev1.DNSDefault, false, nil, "search corp.example\nnameserver 192.0.2.53\noptions timeout:1\n"},
		"host network":            {corev1.DNSClusterFirst, true, nil, "search corp.example\nnameserver 192.0.2.53\noptions timeout:1\n"},
		"host network, cluster":   {corev1.DNSClusterFirstWithHostNet, true, nil, "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.0.0.10\noptions ndots:5\n"},
		"none":                    {corev1.DNSNone, false, custom, "search extra\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"},
		"cluster first and extra": {corev1.DNSClusterFirst, false, custom, "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example extra\nnameserver 10.0.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: corev1.PodSpec{DNSPolicy: tc.policy, HostNetwork: tc.hostNet, DNSConfig: tc.config}}
			got := resolvConf(pod, host, []string{"10.0.0.10"}, "cluster.local")
			if diff := cmp.Diff(tc.want, string(got.file())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestHostsFile(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}, Spec: corev1.PodSpec{
		Hostname: "h", Subdomain: "sub", HostAliases: []corev1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"a", "b"}}},
	}}
	got := string(hostsFile(pod, []string{"10.0.0.9"}, nil, "cluster.local"))
	for _, want := range []string{"# Kubernetes-managed hosts file.\n", "127.0.0.1\tlocalhost\n", "10.0.0.9\th.sub.ns.svc.cluster.local\th\n", "1.2.3.4\ta\tb\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestDockerConfig(t *testing.T) {
	want := []container.Credential{{Registry: "reg.example", Username: "me", Password: "pass:word"}}
	for name, data := range map[string]map[string][]byte{
		"json with auth":  {corev1.DockerConfigJsonKey: []byte(`{"auths":{"reg.example":{"auth":"bWU6cGFzczp3b3Jk"}}}`)},
		"json with names": {corev1.DockerConfigJsonKey: []byte(`{"auths":{"reg.example":{"username":"me","password":"pass:word"}}}`)},
		"old form":        {corev1.DockerConfigKey: []byte(`{"reg.example":{"auth":"bWU6cGFzczp3b3Jk"}}`)},
	} {
		if got, err := parseDockerConfig(data); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestCPUWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 1024: 39, 262144: 10000} {
		if got := cpuWeight(shares); got != want {
			t.Errorf("%d shares: weight %d, want %d", shares, got, want)
		}
	}
}
