package network

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// networkName is the built-in conflist's name.
const networkName = "pintle"

// podInterface is the interface that carries a pod's addresses.
const podInterface = "eth0"

// bridgeSettings decide the built-in conflist.
type bridgeSettings struct {
	bridge  string
	cidrs   []netip.Prefix
	ipamDir string
	mtu     int
}

// bridgeConflist is the built-in network: a bridge per node with addresses from
// host-local. Masquerade and host ports are not in it: the plugins of
// distributions do both with iptables, this package with nftables.
func bridgeConflist(s bridgeSettings) ([]byte, error) {
	type object = map[string]any
	var ranges [][]object
	var routes []object
	for _, cidr := range s.cidrs {
		ranges = append(ranges, []object{{"subnet": cidr.String()}})
		routes = append(routes, object{"dst": familyOf(cidr.Addr()).everything})
	}
	return json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       networkName,
		"plugins": []object{{
			"type":        "bridge",
			"bridge":      s.bridge,
			"isGateway":   true,
			"hairpinMode": true,
			"ipMasq":      false,
			"mtu":         s.mtu,
			"ipam": object{
				"type":    "host-local",
				"dataDir": s.ipamDir,
				"ranges":  ranges,
				"routes":  routes,
			},
		}},
	}, "", "  ")
}

// cniDriver runs CNI plugins. It uses libcni itself, not go-cni: only libcni
// lets the result cache live below the data folder.
type cniDriver struct {
	pluginDirs []string
	cacheDir   string
	confDir    string
}

// userConflist is the first network of the user's folder, nil when it has none.
func (d *cniDriver) userConflist() (*libcni.NetworkConfigList, error) {
	if d.confDir == "" {
		return nil, nil
	}
	files, err := filepath.Glob(filepath.Join(d.confDir, "*.conflist"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	sort.Strings(files)
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read CNI network %s: %w", files[0], err)
	}
	return list, nil
}

// custom reports whether the user's network is in force.
func (d *cniDriver) custom() bool {
	list, err := d.userConflist()
	return err != nil || list != nil
}

// load answers the network to use: the user's, else the built-in one.
func (d *cniDriver) load(builtin []byte) (*libcni.NetworkConfigList, error) {
	list, err := d.userConflist()
	if err != nil || list != nil {
		return list, err
	}
	return libcni.NetworkConfFromBytes(builtin)
}

func (d *cniDriver) lib() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(d.pluginDirs, d.cacheDir, nil)
}

// add joins the namespace to the network and answers the addresses it got.
func (d *cniDriver) add(ctx context.Context, builtin []byte, uid string, rec record) ([]netip.Addr, error) {
	list, err := d.load(builtin)
	if err != nil {
		return nil, err
	}
	raw, err := d.lib().AddNetworkList(ctx, list, runtimeConf(uid, rec))
	if err != nil {
		return nil, fmt.Errorf("add to CNI network %s: %w", list.Name, err)
	}
	result, err := types100.NewResultFromResult(raw)
	if err != nil {
		return nil, fmt.Errorf("understand the answer of CNI network %s: %w", list.Name, err)
	}
	ips := podAddrs(result)
	if len(ips) == 0 {
		return nil, fmt.Errorf("CNI network %s gave the pod no address", list.Name)
	}
	return ips, nil
}

// del undoes add; without a namespace (it is gone already) it still frees the addresses.
func (d *cniDriver) del(ctx context.Context, builtin []byte, uid string, rec record) error {
	list, err := d.load(builtin)
	if err != nil {
		return err
	}
	return d.lib().DelNetworkList(ctx, list, runtimeConf(uid, rec))
}

// runtimeConf passes the pod to the plugins by the names they expect. Host
// ports only reach plugins that declare the capability: the built-in network
// has none, a conflist of the user's may.
func runtimeConf(uid string, rec record) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{
		ContainerID: uid,
		NetNS:       rec.NetnsPath,
		IfName:      podInterface,
		Args: [][2]string{
			{"IgnoreUnknown", "1"},
			{"K8S_POD_NAMESPACE", rec.Namespace},
			{"K8S_POD_NAME", rec.Name},
			{"K8S_POD_INFRA_CONTAINER_ID", uid},
			{"K8S_POD_UID", uid},
		},
	}
	if len(rec.Ports) > 0 {
		rt.CapabilityArgs = map[string]any{"portMappings": portMappings(rec.Ports)}
	}
	return rt
}

func portMappings(ports []HostPort) []map[string]any {
	var out []map[string]any
	for _, p := range ports {
		out = append(out, map[string]any{
			"hostPort":      p.HostPort,
			"containerPort": p.ContainerPort,
			"protocol":      strings.ToLower(p.Protocol),
			"hostIP":        p.HostIP,
		})
	}
	return out
}

// podAddrs are the addresses inside the pod's namespace, in the plugins' order.
func podAddrs(result *types100.Result) []netip.Addr {
	var ips []netip.Addr
	for _, c := range result.IPs {
		if c.Interface != nil && *c.Interface < len(result.Interfaces) && result.Interfaces[*c.Interface].Sandbox == "" {
			continue
		}
		if a, ok := netip.AddrFromSlice(c.Address.IP); ok {
			ips = append(ips, a.Unmap())
		}
	}
	return ips
}
