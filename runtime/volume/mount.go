package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a tmpfs at dir unless something is mounted there.
func mountTmpfs(dir, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mounted, err := isMountPoint(dir)
	if err != nil || mounted {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount tmpfs at %s: %w", dir, err)
	}
	return nil
}

// mountOnce makes dir and calls mount unless something is mounted there, which may
// be of the same file system.
func mountOnce(dir string, mount func() error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	below, err := mountsBelow(dir)
	if err != nil || slices.Contains(below, dir) {
		return err
	}
	return mount()
}

func isMountPoint(dir string) (bool, error) {
	var a, b unix.Stat_t
	if err := unix.Stat(dir, &a); err != nil {
		return false, err
	}
	if err := unix.Stat(filepath.Dir(dir), &b); err != nil {
		return false, err
	}
	return a.Dev != b.Dev, nil
}

// mountsBelow lists mount points at or below dir, the deepest first.
func mountsBelow(dir string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseMounts(string(b), real), nil
}

func parseMounts(mountinfo, dir string) []string {
	var out []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		p := unescape.Replace(fields[4])
		if p == dir || strings.HasPrefix(p, dir+"/") {
			out = append(out, p)
		}
	}
	// A later mount covers an earlier one, so go backwards.
	slices.Reverse(out)
	return out
}

// unescape undoes the kernel's writing of special characters in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// SubPath binds one path inside a volume to a place of its own, so that a
// container cannot have it swapped for a link that leads elsewhere. A missing
// folder is made. key tells the mounts of a pod apart.
func (m *Manager) SubPath(uid, volumeRoot, sub, key string) (string, error) {
	info, err := os.Stat(volumeRoot)
	if err != nil {
		return "", err
	}
	fd, err := openBeneath(volumeRoot, sub, info.Mode().Perm())
	if err != nil {
		return "", fmt.Errorf("subPath %q: %w", sub, err)
	}
	defer unix.Close(fd)
	target := filepath.Join(m.PodDir(uid), "subpaths", key)
	if err := unmountIfMounted(target); err != nil {
		return "", err
	}
	if err := likeKind(fd, target); err != nil {
		return "", err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("bind subPath %q: %w", sub, err)
	}
	return target, nil
}

func unmountIfMounted(target string) error {
	below, err := mountsBelow(target)
	if err != nil {
		return err
	}
	for _, p := range below {
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return err
		}
	}
	return nil
}

// likeKind makes an empty file or folder at target, as what fd is.
func likeKind(fd int, target string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.MkdirAll(target, 0o750)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

// openBeneath opens sub below root, following only links that stay below, and
// makes the folders that are missing. The descriptor is O_PATH.
func openBeneath(root, sub string, perm os.FileMode) (int, error) {
	sub = filepath.Clean(sub)
	if filepath.IsAbs(sub) || sub == ".." || strings.HasPrefix(sub, "../") {
		return -1, errors.New("must stay inside the volume")
	}
	base, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(base)
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(base, sub, how)
	if !errors.Is(err, unix.ENOENT) {
		return fd, beneathError(err)
	}
	for i := range sub {
		if sub[i] == '/' {
			if err := mkdirBeneath(base, sub[:i], how, perm); err != nil {
				return -1, err
			}
		}
	}
	if err := mkdirBeneath(base, sub, how, perm); err != nil {
		return -1, err
	}
	fd, err = unix.Openat2(base, sub, how)
	return fd, beneathError(err)
}

func mkdirBeneath(base int, path string, how *unix.OpenHow, perm os.FileMode) error {
	parent, err := unix.Openat2(base, filepath.Dir(path), how)
	if err != nil {
		return beneathError(err)
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, filepath.Base(path), uint32(perm)); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func beneathError(err error) error {
	if errors.Is(err, unix.EXDEV) {
		return errors.New("a link leads out of the volume")
	}
	return err
}
