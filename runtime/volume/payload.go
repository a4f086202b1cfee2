package volume

import (
	"context"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// file is one file of a volume.
type file struct {
	data []byte
	mode int32
	// uid owns the file; nil is root.
	uid *int64
}

const defaultMode = 0o644

// configMapProjection and projection describe every kind of content volume as
// a projected one.
func configMapProjection(c *corev1.ConfigMapVolumeSource) *corev1.ProjectedVolumeSource {
	return &corev1.ProjectedVolumeSource{DefaultMode: c.DefaultMode, Sources: []corev1.VolumeProjection{{
		ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: c.LocalObjectReference, Items: c.Items, Optional: c.Optional},
	}}}
}

func projection(v *corev1.Volume) *corev1.ProjectedVolumeSource {
	switch {
	case v.Secret != nil:
		s := v.Secret
		return &corev1.ProjectedVolumeSource{DefaultMode: s.DefaultMode, Sources: []corev1.VolumeProjection{{
			Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: s.SecretName}, Items: s.Items, Optional: s.Optional},
		}}}
	case v.DownwardAPI != nil:
		return &corev1.ProjectedVolumeSource{DefaultMode: v.DownwardAPI.DefaultMode, Sources: []corev1.VolumeProjection{{
			DownwardAPI: &corev1.DownwardAPIProjection{Items: v.DownwardAPI.Items},
		}}}
	}
	return v.Projected
}

// collect gathers the files of all sources; later sources win.
func (m *Manager) collect(ctx context.Context, pod *corev1.Pod, volume string, p *corev1.ProjectedVolumeSource, f Fields) (map[string]file, error) {
	mode := int32(defaultMode)
	if p.DefaultMode != nil {
		mode = *p.DefaultMode
	}
	out := map[string]file{}
	for i := range p.Sources {
		at := CertificateSource{Volume: volume, Index: i}
		if err := m.source(ctx, pod, at, &p.Sources[i], mode, f, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *Manager) source(ctx context.Context, pod *corev1.Pod, at CertificateSource, s *corev1.VolumeProjection, mode int32, f Fields, out map[string]file) error {
	switch {
	case s.ConfigMap != nil:
		return m.configMap(ctx, pod, s.ConfigMap, mode, out)
	case s.Secret != nil:
		return m.secret(ctx, pod, s.Secret, mode, out)
	case s.DownwardAPI != nil:
		return downward(s.DownwardAPI.Items, mode, f, out)
	case s.ServiceAccountToken != nil:
		token, err := m.src.Token(ctx, pod, s.ServiceAccountToken)
		if err != nil {
			return err
		}
		out[s.ServiceAccountToken.Path] = tokenFile(pod, []byte(token), mode)
		return nil
	case s.ClusterTrustBundle != nil:
		return m.trustBundle(ctx, pod, s.ClusterTrustBundle, mode, out)
	case s.PodCertificate != nil:
		return m.podCertificate(ctx, pod, at, s.PodCertificate, mode, out)
	}
	return fmt.Errorf("a source of the projected volume is not supported on this node")
}

// tokenFile is readable by the pod alone: by its group if it has one, by its
// user if all containers share one.
func tokenFile(pod *corev1.Pod, data []byte, mode int32) file {
	out := file{data: data, mode: mode}
	if fsGroup(pod) != nil {
		out.mode = 0o600
		return out
	}
	if uid := commonUser(pod); uid != nil {
		out.uid, out.mode = uid, 0o600
	}
	return out
}

// commonUser is the user all containers run as, nil if they differ or the
// images decide.
func commonUser(pod *corev1.Pod) *int64 {
	var common *int64
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			var uid *int64
			if sc := pod.Spec.SecurityContext; sc != nil {
				uid = sc.RunAsUser
			}
			if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
				uid = c.SecurityContext.RunAsUser
			}
			if uid == nil || common != nil && *common != *uid {
				return nil
			}
			common = uid
		}
	}
	return common
}

func isOptional(o *bool) bool { return o != nil && *o }

func (m *Manager) configMap(ctx context.Context, pod *corev1.Pod, s *corev1.ConfigMapProjection, mode int32, out map[string]file) error {
	cm, err := m.src.ConfigMap(ctx, pod, s.Name)
	if apierrors.IsNotFound(err) && isOptional(s.Optional) {
		return nil
	}
	if err != nil {
		return err
	}
	data := map[string][]byte{}
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return pick(data, s.Items, mode, isOptional(s.Optional), "config", out)
}

func (m *Manager) secret(ctx context.Context, pod *corev1.Pod, s *corev1.SecretProjection, mode int32, out map[string]file) error {
	sec, err := m.src.Secret(ctx, pod, s.Name)
	if apierrors.IsNotFound(err) && isOptional(s.Optional) {
		return nil
	}
	if err != nil {
		return err
	}
	return pick(sec.Data, s.Items, mode, isOptional(s.Optional), "secret", out)
}

// pick takes all keys, or the items listed under their paths.
func pick(data map[string][]byte, items []corev1.KeyToPath, mode int32, optional bool, kind string, out map[string]file) error {
	if len(items) == 0 {
		for k, v := range data {
			out[k] = file{data: v, mode: mode}
		}
		return nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if optional {
				continue
			}
			return fmt.Errorf("references non-existent %s key: %s", kind, it.Key)
		}
		p, err := cleanPath(it.Path)
		if err != nil {
			return err
		}
		out[p] = file{data: v, mode: modeOr(it.Mode, mode)}
	}
	return nil
}

func downward(items []corev1.DownwardAPIVolumeFile, mode int32, f Fields, out map[string]file) error {
	for _, it := range items {
		p, err := cleanPath(it.Path)
		if err != nil {
			return err
		}
		var text string
		if it.FieldRef != nil {
			text, err = f.Field(it.FieldRef.FieldPath)
		} else if it.ResourceFieldRef != nil {
			text, err = f.Resource(it.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		out[p] = file{data: []byte(text), mode: modeOr(it.Mode, mode)}
	}
	return nil
}

func modeOr(m *int32, def int32) int32 {
	if m != nil {
		return *m
	}
	return def
}

func cleanPath(p string) (string, error) {
	c := path.Clean(p)
	if path.IsAbs(c) || c == "." || strings.HasPrefix(c, "..") {
		return "", fmt.Errorf("path %q must stay inside the volume", p)
	}
	return c, nil
}
