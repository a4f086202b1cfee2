package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

type source struct {
	bundles    []*certificatesv1.ClusterTrustBundle
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
}

func notFound(kind, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
}

func (s source) ConfigMap(_ context.Context, _ *corev1.Pod, name string) (*corev1.ConfigMap, error) {
	if cm := s.configMaps[name]; cm != nil {
		return cm, nil
	}
	return nil, notFound("configmaps", name)
}

func (s source) Secret(_ context.Context, _ *corev1.Pod, name string) (*corev1.Secret, error) {
	if x := s.secrets[name]; x != nil {
		return x, nil
	}
	return nil, notFound("secrets", name)
}

func (s source) Token(context.Context, *corev1.Pod, *corev1.ServiceAccountTokenProjection) (string, error) {
	return "token", nil
}

func (s source) Claim(context.Context, *corev1.Pod, string) (*corev1.PersistentVolume, error) {
	return nil, notFound("persistentvolumeclaims", "x")
}

func (s source) TrustBundles(context.Context, *corev1.Pod) ([]*certificatesv1.ClusterTrustBundle, error) {
	return s.bundles, nil
}

func (s source) PodCertificate(_ context.Context, _ *corev1.Pod, at CertificateSource, p *corev1.PodCertificateProjection) (key, chain []byte, err error) {
	if at != (CertificateSource{Volume: "v", Index: 1}) {
		return nil, nil, fmt.Errorf("asked for %+v", at)
	}
	return []byte("key of " + p.SignerName + "\n"), []byte("chain\n"), nil
}

func newPod(vols ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u1", Name: "p"}, Spec: corev1.PodSpec{Volumes: vols}}
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		p := filepath.Join(dir, e.Name())
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			for k, v := range tree(t, p) {
				out[e.Name()+"/"+k] = v
			}
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

func TestConfigMapFollowsChanges(t *testing.T) {
	src := source{configMaps: map[string]*corev1.ConfigMap{"cm": {Data: map[string]string{"a": "1", "b": "2"}}}}
	m := New(t.TempDir(), src)
	pod := newPod(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}})
	paths, err := m.Setup(t.Context(), pod, Fields{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, tree(t, paths["v"])); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	first, err := os.Readlink(paths["v"] + "/..data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Setup(t.Context(), pod, Fields{}); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.Readlink(paths["v"] + "/..data"); again != first {
		t.Error("written again without a change")
	}
	src.configMaps["cm"] = &corev1.ConfigMap{Data: map[string]string{"a": "changed", "c": "3"}}
	if _, err := m.Setup(t.Context(), pod, Fields{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "changed", "c": "3"}, tree(t, paths["v"])); diff != "" {
		t.Errorf("after the change (-want +got)\n%s", diff)
	}
}

func TestItemsPathsAndErrors(t *testing.T) {
	src := source{configMaps: map[string]*corev1.ConfigMap{"cm": {Data: map[string]string{"a": "1"}}}}
	yes := true
	vol := func(name string, optional *bool, items ...corev1.KeyToPath) corev1.Volume {
		return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: items, Optional: optional,
		}}}
	}
	for name, tc := range map[string]struct {
		vol  corev1.Volume
		want map[string]string
		err  string
	}{
		"nested path":      {vol: vol("cm", nil, corev1.KeyToPath{Key: "a", Path: "x/y/z"}), want: map[string]string{"x/y/z": "1"}},
		"missing key":      {vol: vol("cm", nil, corev1.KeyToPath{Key: "b", Path: "b"}), err: "references non-existent config key: b"},
		"optional key":     {vol: vol("cm", &yes, corev1.KeyToPath{Key: "b", Path: "b"}), want: map[string]string{}},
		"missing object":   {vol: vol("none", nil), err: `configmaps "none" not found`},
		"optional object":  {vol: vol("none", &yes), want: map[string]string{}},
		"path leaving":     {vol: vol("cm", nil, corev1.KeyToPath{Key: "a", Path: "../x"}), err: "must stay inside"},
		"unsupported type": {vol: corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}}, err: "not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(t.TempDir(), src)
			paths, err := m.Setup(t.Context(), newPod(tc.vol), Fields{})
			if tc.err != "" {
				var me *MountError
				if err == nil || !strings.Contains(err.Error(), tc.err) || !errors.As(err, &me) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, tree(t, paths["v"])); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestModesAndGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("ownership needs root")
	}
	mode, g := int32(0o400), int64(1234)
	src := source{secrets: map[string]*corev1.Secret{"s": {Data: map[string][]byte{"k": []byte("v")}}}}
	m := New(t.TempDir(), src)
	pod := newPod(
		corev1.Volume{Name: "sec", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s", DefaultMode: &mode}}},
		corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
	)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &g}
	paths, err := m.Setup(t.Context(), pod, Fields{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{paths["sec"] + "/k": 0o440, paths["tmp"]: os.ModeDir | os.ModeSetgid | 0o777} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
	if mounted, err := isMountPoint(paths["tmp"]); err != nil || !mounted {
		t.Errorf("memory volume is not mounted: %v", err)
	}
	if err := m.Teardown("u1"); err != nil {
		t.Fatal(err)
	}
	if left, _ := mountsBelow(m.root); len(left) != 0 {
		t.Errorf("mounts left: %v", left)
	}
	if _, err := os.Stat(m.PodDir("u1")); !errors.Is(err, os.ErrNotExist) {
		t.Error("folder left")
	}
}

// Guards the data of the machine: removing a pod must never delete below a bind.
func TestSubPath(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts need root")
	}
	host := t.TempDir()
	if err := os.WriteFile(host+"/keep", []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", host+"/out"); err != nil {
		t.Fatal(err)
	}
	m := New(t.TempDir(), source{})
	if _, err := m.Setup(t.Context(), newPod(), Fields{}); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"new/folder", "keep", "."} {
		if _, err := m.SubPath("u1", host, sub, "c-"+strings.ReplaceAll(sub, "/", "_")); err != nil {
			t.Errorf("%s: %v", sub, err)
		}
	}
	for _, sub := range []string{"out/passwd", "../x", "/etc"} {
		if _, err := m.SubPath("u1", host, sub, "bad"); err == nil {
			t.Errorf("%s is let out of the volume", sub)
		}
	}
	if err := m.Teardown("u1"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(host + "/keep"); err != nil || string(b) != "precious" {
		t.Errorf("the machine's file: %q, %v", b, err)
	}
	if _, err := os.Stat(host + "/new/folder"); err != nil {
		t.Error(err)
	}
}
