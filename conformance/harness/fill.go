package harness

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	fillers        = 64
	fillNamespaces = 20
)

// Fill creates n objects as a used cluster holds them, in namespaces fill-0 to
// fill-19: of ten, four are pods, four ConfigMaps and two Secrets, of one to two
// kilobytes each. The pods are behind a scheduling gate, so that they stay as they
// are.
func (c *Cluster) Fill(ctx context.Context, n int) error {
	cfg, err := c.REST()
	if err != nil {
		return err
	}
	cfg.ContentType, cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	return Fill(ctx, kube, n)
}

// Fill is Cluster.Fill for any server.
func Fill(ctx context.Context, kube kubernetes.Interface, n int) error {
	for i := range fillNamespaces {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fillNamespace(i)}}
		if _, err := kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range fillers {
		group.Go(func() {
			for i := int(next.Add(1) - 1); i < n && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				if err := fillOne(ctx, kube, i); err != nil {
					cancel(fmt.Errorf("fill object %d: %w", i, err))
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// FillNamespaces are where Fill creates its objects.
func FillNamespaces() []string {
	var names []string
	for i := range fillNamespaces {
		names = append(names, fillNamespace(i))
	}
	return names
}

func fillNamespace(i int) string { return fmt.Sprintf("fill-%d", i%fillNamespaces) }

func fillOne(ctx context.Context, kube kubernetes.Interface, i int) (err error) {
	core, ns := kube.CoreV1(), fillNamespace(i/10)
	meta := metav1.ObjectMeta{Name: fmt.Sprintf("object-%06d", i), Labels: map[string]string{
		"app.kubernetes.io/name": fmt.Sprintf("app-%d", i%97), "app.kubernetes.io/part-of": "fill", "tier": "backend",
	}}
	switch i % 10 {
	case 0, 1, 2, 3:
		_, err = core.Pods(ns).Create(ctx, fillPod(meta), metav1.CreateOptions{})
	case 4, 5, 6, 7:
		_, err = core.ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{
			"config.yaml": strings.Repeat("setting: value\n", 70), "mode": "live",
		}}, metav1.CreateOptions{})
	default:
		_, err = core.Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{
			"tls.crt": []byte(strings.Repeat("certificate\n", 70)), "tls.key": []byte(strings.Repeat("0123456789abcdef", 15)),
		}}, metav1.CreateOptions{})
	}
	return err
}

func fillPod(meta metav1.ObjectMeta) *corev1.Pod {
	yes, no, user := true, false, int64(1000)
	return &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{
		SchedulingGates: []corev1.PodSchedulingGate{{Name: "pintle.test/fill"}},
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user},
		Containers: []corev1.Container{{
			Name: "main", Image: "registry.pintle.test/team/service:v1.2.3",
			Args:  []string{"--config=/etc/service/config.yaml", "--listen=:8080"},
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			Env: []corev1.EnvVar{
				{Name: "MODE", Value: "live"},
				{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
			},
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("100Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("200Mi")},
			},
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/service"}},
		}},
		Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}},
		}}},
	}}
}
