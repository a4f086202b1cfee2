package containerd

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/image-spec/identity"
)

// labelGCRoot keeps a snapshot from containerd's garbage collection.
const labelGCRoot = "containerd.io/gc.root"

// MountImage mounts the files of a local image at dir, read-only. What is mounted
// there already stays.
func (r *Runtime) MountImage(ctx context.Context, podUID, name, ref, dir string) error {
	ctx = r.scope(ctx)
	img, _, err := r.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	layers, err := img.RootFS(ctx)
	if err != nil {
		return fmt.Errorf("layers of image %s: %w", ref, err)
	}
	key := "volume-" + podUID + "-" + name
	service := r.client.SnapshotService(r.cfg.Snapshotter)
	view := func() ([]mount.Mount, error) {
		return service.View(ctx, key, identity.ChainID(layers).String(), snapshots.WithLabels(map[string]string{labelGCRoot: "true", labelPodUID: podUID}))
	}
	mounts, err := view()
	if errdefs.IsNotFound(err) {
		// The image was not unpacked, or its snapshots were collected.
		if uerr := img.Unpack(ctx, r.cfg.Snapshotter); uerr != nil {
			return uerr
		}
		mounts, err = view()
	}
	if errdefs.IsAlreadyExists(err) {
		mounts, err = service.Mounts(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("files of image %s: %w", ref, native(err))
	}
	for i := range mounts {
		mounts[i].Options = append(mounts[i].Options, "noexec", "nosuid", "nodev")
	}
	return mount.All(mounts, dir)
}

// ReleaseImages forgets the images mounted for a pod, which must be unmounted.
func (r *Runtime) ReleaseImages(ctx context.Context, podUID string) error {
	ctx = r.scope(ctx)
	service := r.client.SnapshotService(r.cfg.Snapshotter)
	var keys []string
	err := service.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		keys = append(keys, info.Name)
		return nil
	}, fmt.Sprintf("labels.%q==%q", labelPodUID, podUID))
	if err != nil {
		return fmt.Errorf("image volumes of pod %s: %w", podUID, err)
	}
	for _, key := range keys {
		if err := service.Remove(ctx, key); ignoreNotFound(err) != nil {
			return fmt.Errorf("image volume of pod %s: %w", podUID, err)
		}
	}
	return nil
}
