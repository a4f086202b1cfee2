package robustness

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

const bystanderMap = "bystander"

func newDialer() *net.Dialer { return &net.Dialer{Timeout: patience} }

// bystanderSteps are one round of a client's ordinary work.
var bystanderSteps = []struct {
	name string
	do   func(ctx context.Context, maps typedcorev1.ConfigMapInterface, round int) error
}{
	{"create", func(ctx context.Context, maps typedcorev1.ConfigMapInterface, round int) error {
		_, err := maps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: bystanderMap, Labels: map[string]string{"who": bystanderMap}},
			Data:       map[string]string{"round": strconv.Itoa(round)},
		}, metav1.CreateOptions{})
		return err
	}},
	{"get", func(ctx context.Context, maps typedcorev1.ConfigMapInterface, round int) error {
		cm, err := maps.Get(ctx, bystanderMap, metav1.GetOptions{})
		if err == nil && cm.Data["round"] != strconv.Itoa(round) {
			return fmt.Errorf("read round %s, wrote %d", cm.Data["round"], round)
		}
		return err
	}},
	{"patch", func(ctx context.Context, maps typedcorev1.ConfigMapInterface, _ int) error {
		_, err := maps.Patch(ctx, bystanderMap, types.MergePatchType, []byte(`{"data":{"patched":"yes"}}`), metav1.PatchOptions{})
		return err
	}},
	{"list", func(ctx context.Context, maps typedcorev1.ConfigMapInterface, _ int) error {
		list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "who=" + bystanderMap})
		if err == nil && (len(list.Items) != 1 || list.Items[0].Data["patched"] != "yes") {
			return fmt.Errorf("listed %d ConfigMaps, want the patched one", len(list.Items))
		}
		return err
	}},
	{"watch", func(ctx context.Context, maps typedcorev1.ConfigMapInterface, _ int) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		w, err := maps.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + bystanderMap})
		if err != nil {
			return err
		}
		defer w.Stop()
		if _, ok := <-w.ResultChan(); !ok {
			return fmt.Errorf("no event after %s", patience.Round(time.Second))
		}
		return nil
	}},
	{"delete", func(ctx context.Context, maps typedcorev1.ConfigMapInterface, _ int) error {
		return maps.Delete(ctx, bystanderMap, metav1.DeleteOptions{})
	}},
}
