package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// podHostname is the name a pod gives itself, and its full name if it has a
// subdomain.
func podHostname(pod *corev1.Pod, clusterDomain string) (name, fqdn string) {
	name = pod.Name
	if pod.Spec.Hostname != "" {
		name = pod.Spec.Hostname
	}
	const maxHostname = 63
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	if pod.Spec.HostnameOverride != nil {
		return *pod.Spec.HostnameOverride, ""
	}
	if pod.Spec.Subdomain != "" {
		fqdn = fmt.Sprintf("%s.%s.%s.svc.%s", name, pod.Spec.Subdomain, pod.Namespace, clusterDomain)
	}
	if fqdn != "" && pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN {
		return fqdn, fqdn
	}
	return name, fqdn
}

const hostsHeader = "# Kubernetes-managed hosts file.\n"

// hostsFile is the pod's /etc/hosts.
func hostsFile(pod *corev1.Pod, ips []string, host []byte, clusterDomain string) []byte {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(host)
	} else {
		b.WriteString(hostsHeader)
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		name, fqdn := podHostname(pod, clusterDomain)
		for _, ip := range ips {
			if fqdn != "" {
				fmt.Fprintf(&b, "%s\t%s\t%s\n", ip, fqdn, strings.SplitN(name, ".", 2)[0])
			} else {
				fmt.Fprintf(&b, "%s\t%s\n", ip, name)
			}
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, h := range pod.Spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", h.IP, strings.Join(h.Hostnames, "\t"))
		}
	}
	return []byte(b.String())
}

// dnsConfig is what goes into resolv.conf.
type dnsConfig struct {
	servers, search, options []string
}

// resolvConf decides the pod's resolver settings by its DNS policy.
func resolvConf(pod *corev1.Pod, host dnsConfig, clusterDNS []string, domain string) dnsConfig {
	var d dnsConfig
	switch policy := pod.Spec.DNSPolicy; {
	case policy == corev1.DNSNone:
	case policy == corev1.DNSDefault, len(clusterDNS) == 0, policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork:
		d = host
	default:
		d.servers = clusterDNS
		d.search = append([]string{pod.Namespace + ".svc." + domain, "svc." + domain, domain}, host.search...)
		d.options = []string{"ndots:5"}
	}
	if c := pod.Spec.DNSConfig; c != nil {
		d.servers = unique(append(slices.Clone(d.servers), c.Nameservers...))
		d.search = unique(append(slices.Clone(d.search), c.Searches...))
		d.options = mergeOptions(d.options, c.Options)
	}
	return d
}

func unique(in []string) []string {
	var out []string
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// mergeOptions lets the pod's options replace those of the same name.
func mergeOptions(base []string, add []corev1.PodDNSConfigOption) []string {
	out := slices.Clone(base)
	for _, o := range add {
		text := o.Name
		if o.Value != nil && *o.Value != "" {
			text += ":" + *o.Value
		}
		same := func(s string) bool { n, _, _ := strings.Cut(s, ":"); return n == o.Name }
		if i := slices.IndexFunc(out, same); i >= 0 {
			out[i] = text
		} else {
			out = append(out, text)
		}
	}
	return out
}

func (d dnsConfig) file() []byte {
	var b strings.Builder
	if len(d.search) > 0 {
		b.WriteString("search " + strings.Join(d.search, " ") + "\n")
	}
	for _, s := range d.servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(d.options) > 0 {
		b.WriteString("options " + strings.Join(d.options, " ") + "\n")
	}
	return []byte(b.String())
}

func parseResolvConf(text string) dnsConfig {
	var d dnsConfig
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			d.servers = append(d.servers, f[1])
		case "search":
			d.search = f[1:]
		case "options":
			d.options = f[1:]
		}
	}
	return d
}

// writePodFiles writes hosts, resolv.conf and hostname for the pod's containers.
func (a *Agent) writePodFiles(pod *corev1.Pod, ips []string) error {
	dir := filepath.Join(a.volumes.PodDir(string(pod.UID)), "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	hostHosts, err := os.ReadFile("/etc/hosts")
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	name, _ := podHostname(pod, a.cfg.ClusterDomain)
	if pod.Spec.HostNetwork {
		if name, err = os.Hostname(); err != nil {
			return err
		}
	}
	dns := resolvConf(pod, parseResolvConf(string(resolv)), a.cfg.ClusterDNS, a.cfg.ClusterDomain)
	for file, content := range map[string][]byte{
		"hosts":       hostsFile(pod, ips, hostHosts, a.cfg.ClusterDomain),
		"resolv.conf": dns.file(),
		"hostname":    []byte(name + "\n"),
	} {
		// In place: containers have the file itself mounted.
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
