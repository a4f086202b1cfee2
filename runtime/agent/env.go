package agent

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/kubectl/pkg/util/fieldpath"
	kresource "k8s.io/kubectl/pkg/util/resource"

	"github.com/pintle-io/pintle/runtime/container"
)

// podFields resolves the downward API for one pod.
type podFields struct {
	pod         *corev1.Pod
	podIPs      []string
	hostIPs     []string
	allocatable corev1.ResourceList
}

// field resolves a fieldRef.
func (f podFields) field(path string) (string, error) {
	first := func(ips []string) string {
		if len(ips) == 0 {
			return ""
		}
		return ips[0]
	}
	switch path {
	case "spec.nodeName":
		return f.pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return f.pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return first(f.hostIPs), nil
	case "status.hostIPs":
		return strings.Join(f.hostIPs, ","), nil
	case "status.podIP":
		return first(f.podIPs), nil
	case "status.podIPs":
		return strings.Join(f.podIPs, ","), nil
	}
	return fieldpath.ExtractFieldPathAsString(f.pod, path)
}

// resource resolves a resourceFieldRef; own is the container it defaults to. A
// limit that is not set is what the node can give.
func (f podFields) resource(sel *corev1.ResourceFieldSelector, own *corev1.Container) (string, error) {
	c := own
	if sel.ContainerName != "" {
		c = findContainer(f.pod, sel.ContainerName)
	}
	if c == nil {
		return "", fmt.Errorf("container %q not found", sel.ContainerName)
	}
	c = c.DeepCopy()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := c.Resources.Limits[name]; ok && !q.IsZero() {
			continue
		}
		if q, ok := f.allocatable[name]; ok {
			if c.Resources.Limits == nil {
				c.Resources.Limits = corev1.ResourceList{}
			}
			c.Resources.Limits[name] = q
		}
	}
	return kresource.ExtractContainerResourceValue(sel, c)
}

func findContainer(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// environment is the list of a container's variables: those of services, then
// envFrom, then env, later ones winning, with $(VAR) expanded.
func (a *Agent) environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container, f podFields) ([]container.EnvVar, error) {
	e := &envBuilder{values: map[string]string{}}
	if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
		e.addAll(serviceEnv(a.services(pod.Namespace), pod.Namespace))
	} else {
		e.addAll(serviceEnv(a.services(""), ""))
	}
	for i := range c.EnvFrom {
		if err := a.envFrom(ctx, pod, &c.EnvFrom[i], e); err != nil {
			return nil, err
		}
	}
	for i := range c.Env {
		v := &c.Env[i]
		value, ok, err := a.envValue(ctx, pod, c, v, f, e)
		if err != nil {
			return nil, err
		}
		if ok {
			e.add(v.Name, value)
		}
	}
	return e.list(), nil
}

type envBuilder struct {
	order  []string
	values map[string]string
}

func (e *envBuilder) add(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.order = append(e.order, name)
	}
	e.values[name] = value
}

func (e *envBuilder) addAll(list []container.EnvVar) {
	for _, v := range list {
		e.add(v.Name, v.Value)
	}
}

func (e *envBuilder) list() []container.EnvVar {
	out := make([]container.EnvVar, 0, len(e.order))
	for _, n := range e.order {
		out = append(out, container.EnvVar{Name: n, Value: e.values[n]})
	}
	return out
}

func optional(o *bool) bool { return o != nil && *o }

func (a *Agent) envFrom(ctx context.Context, pod *corev1.Pod, src *corev1.EnvFromSource, e *envBuilder) error {
	data := map[string]string{}
	switch {
	case src.ConfigMapRef != nil:
		cm, err := a.objects.ConfigMap(ctx, pod, src.ConfigMapRef.Name)
		if apierrors.IsNotFound(err) && optional(src.ConfigMapRef.Optional) {
			return nil
		}
		if err != nil {
			return err
		}
		data = cm.Data
	case src.SecretRef != nil:
		s, err := a.objects.Secret(ctx, pod, src.SecretRef.Name)
		if apierrors.IsNotFound(err) && optional(src.SecretRef.Optional) {
			return nil
		}
		if err != nil {
			return err
		}
		for k, v := range s.Data {
			data[k] = string(v)
		}
	}
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if name := src.Prefix + k; len(validation.IsRelaxedEnvVarName(name)) == 0 {
			e.add(name, data[k])
		}
	}
	return nil
}

// envValue resolves one variable; false leaves it out.
func (a *Agent) envValue(ctx context.Context, pod *corev1.Pod, c *corev1.Container, v *corev1.EnvVar, f podFields, e *envBuilder) (string, bool, error) {
	from := v.ValueFrom
	switch {
	case from == nil:
		return expand(v.Value, e.values), true, nil
	case from.FieldRef != nil:
		s, err := f.field(from.FieldRef.FieldPath)
		return s, true, err
	case from.ResourceFieldRef != nil:
		s, err := f.resource(from.ResourceFieldRef, c)
		return s, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		cm, err := a.objects.ConfigMap(ctx, pod, ref.Name)
		if err != nil {
			return "", false, orOptional(err, ref.Optional)
		}
		if s, ok := cm.Data[ref.Key]; ok {
			return s, true, nil
		}
		return missingKey(ref.Optional, ref.Key, "ConfigMap", pod.Namespace, ref.Name)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		s, err := a.objects.Secret(ctx, pod, ref.Name)
		if err != nil {
			return "", false, orOptional(err, ref.Optional)
		}
		if b, ok := s.Data[ref.Key]; ok {
			return string(b), true, nil
		}
		return missingKey(ref.Optional, ref.Key, "Secret", pod.Namespace, ref.Name)
	}
	return "", false, fmt.Errorf("the source of variable %s is not supported on this node", v.Name)
}

func orOptional(err error, o *bool) error {
	if apierrors.IsNotFound(err) && optional(o) {
		return nil
	}
	return err
}

func missingKey(o *bool, key, kind, ns, name string) (string, bool, error) {
	if optional(o) {
		return "", false, nil
	}
	return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, ns, name)
}

// expand replaces $(NAME) by the variable's value; $$ is a dollar, and what is
// not known stays as written.
func expand(s string, vars map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			name := s[i+2 : i+end]
			if v, ok := vars[name]; ok {
				b.WriteString(v)
			} else {
				b.WriteString(s[i : i+end+1])
			}
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

// serviceEnv gives the variables by which pods find services without DNS.
// Services of the pod's own namespace, and "kubernetes" of default.
func serviceEnv(services []*corev1.Service, namespace string) []container.EnvVar {
	byName := map[string]*corev1.Service{}
	for _, s := range services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || len(s.Spec.Ports) == 0 {
			continue
		}
		master := s.Namespace == corev1.NamespaceDefault && s.Name == "kubernetes"
		if s.Namespace == namespace && namespace != "" {
			byName[s.Name] = s
		} else if master && byName[s.Name] == nil {
			byName[s.Name] = s
		}
	}
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	var out []container.EnvVar
	for _, n := range names {
		out = append(out, oneServiceEnv(byName[n])...)
	}
	return out
}

func oneServiceEnv(s *corev1.Service) []container.EnvVar {
	envName := func(n string) string { return strings.ToUpper(strings.ReplaceAll(n, "-", "_")) }
	prefix := envName(s.Name)
	var out []container.EnvVar
	add := func(name, value string) { out = append(out, container.EnvVar{Name: name, Value: value}) }
	add(prefix+"_SERVICE_HOST", s.Spec.ClusterIP)
	add(prefix+"_SERVICE_PORT", strconv.Itoa(int(s.Spec.Ports[0].Port)))
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			add(prefix+"_SERVICE_PORT_"+envName(p.Name), strconv.Itoa(int(p.Port)))
		}
	}
	for i, p := range s.Spec.Ports {
		proto := strings.ToLower(string(p.Protocol))
		host := s.Spec.ClusterIP
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		url := fmt.Sprintf("%s://%s:%d", proto, host, p.Port)
		if i == 0 {
			add(prefix+"_PORT", url)
		}
		port := fmt.Sprintf("%s_PORT_%d_%s", prefix, p.Port, strings.ToUpper(proto))
		add(port, url)
		add(port+"_PROTO", proto)
		add(port+"_PORT", strconv.Itoa(int(p.Port)))
		add(port+"_ADDR", s.Spec.ClusterIP)
	}
	return out
}
