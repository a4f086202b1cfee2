// Package volume puts the volumes of pods in place below one folder and takes
// them away again: content from the API (ConfigMap, Secret, downward API,
// projected, tokens) kept up to date by atomic symlink swaps, scratch space on
// disk or in memory, and paths of the machine.
//
// Everything it makes for a pod lies below one folder, so that removal needs no
// memory of what was made: unmount all below, then delete. It never deletes
// below a mount point. Calls for one pod must not overlap; calls for different
// pods may.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
)

// Source is where content comes from. Errors of the API are passed on as they
// are, so that not-found can be told.
type Source interface {
	ConfigMap(ctx context.Context, pod *corev1.Pod, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, pod *corev1.Pod, name string) (*corev1.Secret, error)
	Token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error)
	// TrustBundles returns all there are; they are not changed.
	TrustBundles(ctx context.Context, pod *corev1.Pod) ([]*certificatesv1.ClusterTrustBundle, error)
	// PodCertificate returns a key and the certificates that a signer has issued for
	// it, both in PEM; an error while there are none yet.
	PodCertificate(ctx context.Context, pod *corev1.Pod, at CertificateSource, p *corev1.PodCertificateProjection) (key, chain []byte, err error)
	// Claim returns the persistent volume that a claim of the pod is bound to.
	Claim(ctx context.Context, pod *corev1.Pod, claim string) (*corev1.PersistentVolume, error)
}

// CertificateSource names a source of a pod's projected volume.
type CertificateSource struct {
	Volume string
	Index  int
}

// Fields resolves what the downward API asks for.
type Fields struct {
	Field    func(path string) (string, error)
	Resource func(sel *corev1.ResourceFieldSelector) (string, error)
	// Image mounts the files of an image volume at dir, which exists.
	Image func(ctx context.Context, v *corev1.Volume, dir string) error
}

// Manager keeps the volumes of one node.
type Manager struct {
	root string
	src  Source
}

// New keeps everything below root (one folder per pod UID).
func New(root string, src Source) *Manager { return &Manager{root: root, src: src} }

// PodDir is the folder of a pod; it exists after Setup.
func (m *Manager) PodDir(uid string) string { return filepath.Join(m.root, uid) }

func (m *Manager) memDir(uid string) string { return filepath.Join(m.PodDir(uid), "mem") }

// MountError says which volume could not be put in place.
type MountError struct {
	Volume string
	Err    error
}

func (e *MountError) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

func (e *MountError) Unwrap() error { return e.Err }

// Setup puts all volumes of the pod in place, or brings their content up to
// date, and returns the path of each by name.
func (m *Manager) Setup(ctx context.Context, pod *corev1.Pod, f Fields) (map[string]string, error) {
	if err := os.MkdirAll(m.PodDir(string(pod.UID)), 0o750); err != nil {
		return nil, err
	}
	paths := map[string]string{}
	var errs []error
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		path, err := m.setup(ctx, pod, v, f)
		if err != nil {
			errs = append(errs, &MountError{v.Name, err})
		}
		paths[v.Name] = path
	}
	return paths, errors.Join(errs...)
}

func (m *Manager) setup(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, f Fields) (string, error) {
	dir := filepath.Join(m.PodDir(string(pod.UID)), "volumes", v.Name)
	switch {
	case v.EmptyDir != nil:
		return dir, m.emptyDir(dir, pod, v.EmptyDir)
	case v.HostPath != nil:
		return v.HostPath.Path, checkHostPath(v.HostPath)
	case v.PersistentVolumeClaim != nil:
		return m.claim(ctx, pod, v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		return m.claim(ctx, pod, pod.Name+"-"+v.Name)
	case v.Image != nil:
		return dir, mountOnce(dir, func() error { return f.Image(ctx, v, dir) })
	case v.ConfigMap != nil:
		files, err := m.collect(ctx, pod, v.Name, configMapProjection(v.ConfigMap), f)
		if err != nil {
			return "", err
		}
		return dir, writePayload(dir, files, fsGroup(pod))
	}
	p := projection(v)
	if p == nil {
		return "", errors.New("this type of volume is not supported on this node")
	}
	files, err := m.collect(ctx, pod, v.Name, p, f)
	if err != nil {
		return "", err
	}
	// What may hold secrets stays in memory.
	if err := mountTmpfs(m.memDir(string(pod.UID)), ""); err != nil {
		return "", err
	}
	dir = filepath.Join(m.memDir(string(pod.UID)), v.Name)
	return dir, writePayload(dir, files, fsGroup(pod))
}

func fsGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

func (m *Manager) emptyDir(dir string, pod *corev1.Pod, v *corev1.EmptyDirVolumeSource) error {
	_, err := os.Stat(dir)
	fresh := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if v.Medium == corev1.StorageMediumMemory {
		size := ""
		if v.SizeLimit != nil && v.SizeLimit.Sign() > 0 {
			size = fmt.Sprintf("size=%d", v.SizeLimit.Value())
		}
		if err := mountTmpfs(dir, size); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	// MkdirAll is subject to the umask.
	mode := os.FileMode(0o777)
	if g := fsGroup(pod); g != nil {
		mode |= os.ModeSetgid
		if err := os.Chown(dir, 0, int(*g)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, mode)
}

func (m *Manager) claim(ctx context.Context, pod *corev1.Pod, name string) (string, error) {
	pv, err := m.src.Claim(ctx, pod, name)
	if err != nil {
		return "", err
	}
	switch {
	case pv.Spec.HostPath != nil:
		return pv.Spec.HostPath.Path, checkHostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		_, err := os.Stat(pv.Spec.Local.Path)
		return pv.Spec.Local.Path, err
	}
	return "", fmt.Errorf("persistent volume %s: its type is not supported on this node", pv.Name)
}

// checkHostPath does what the type asks for: create, or check.
func checkHostPath(h *corev1.HostPathVolumeSource) error {
	t := corev1.HostPathUnset
	if h.Type != nil {
		t = *h.Type
	}
	info, err := os.Stat(h.Path)
	switch t {
	case corev1.HostPathUnset:
		if errors.Is(err, os.ErrNotExist) {
			return os.MkdirAll(h.Path, 0o755)
		}
		return err
	case corev1.HostPathDirectoryOrCreate:
		if errors.Is(err, os.ErrNotExist) {
			return os.MkdirAll(h.Path, 0o755)
		}
	case corev1.HostPathFileOrCreate:
		if errors.Is(err, os.ErrNotExist) {
			f, err := os.OpenFile(h.Path, os.O_CREATE|os.O_RDONLY, 0o644)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	if want, ok := hostPathTypes[t]; ok && !want.is(info.Mode()) {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", h.Path, want.name)
	}
	return nil
}

var hostPathTypes = map[corev1.HostPathType]struct {
	name string
	is   func(os.FileMode) bool
}{
	corev1.HostPathDirectory:         {"directory", os.FileMode.IsDir},
	corev1.HostPathDirectoryOrCreate: {"directory", os.FileMode.IsDir},
	corev1.HostPathFile:              {"file", os.FileMode.IsRegular},
	corev1.HostPathFileOrCreate:      {"file", os.FileMode.IsRegular},
	corev1.HostPathSocket:            {"socket file", func(m os.FileMode) bool { return m&os.ModeSocket != 0 }},
	corev1.HostPathCharDev:           {"character device", func(m os.FileMode) bool { return m&os.ModeCharDevice != 0 }},
	corev1.HostPathBlockDev: {"block device", func(m os.FileMode) bool {
		return m&os.ModeDevice != 0 && m&os.ModeCharDevice == 0
	}},
}

// Shm mounts the /dev/shm that the containers of a pod share.
func (m *Manager) Shm(uid string) (string, error) {
	dir := filepath.Join(m.PodDir(uid), "shm")
	return dir, mountTmpfs(dir, "mode=1777,size=64m")
}

// Pods lists the UIDs that have a folder here.
func (m *Manager) Pods() ([]string, error) {
	entries, err := os.ReadDir(m.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

// Teardown unmounts and deletes all of a pod.
func (m *Manager) Teardown(uid string) error {
	dir := m.PodDir(uid)
	for deadline := time.Now().Add(5 * time.Second); ; {
		below, err := mountsBelow(dir)
		if err != nil {
			return err
		}
		if len(below) == 0 {
			return os.RemoveAll(dir)
		}
		for _, p := range below {
			if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("unmount %s: %w", p, err)
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mounts keep appearing below %s", dir)
		}
	}
}
