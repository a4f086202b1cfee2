package agent

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/image"
)

// mountImage makes the image of a volume present, as its pull policy asks, and
// mounts it read-only.
func (w *worker) mountImage(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, dir string) error {
	as := &corev1.Container{Name: v.Name, Image: v.Image.Reference, ImagePullPolicy: v.Image.PullPolicy}
	if _, err := w.ensureImage(ctx, pod, as); err != nil {
		return err
	}
	ref, err := image.Normalize(v.Image.Reference)
	if err != nil {
		return err
	}
	return w.a.cfg.Runtime.MountImage(ctx, w.ref.UID, v.Name, ref, dir)
}
