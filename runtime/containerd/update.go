package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/containerd/containerd/v2/client"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pintle-io/pintle/runtime/container"
)

// UpdateContainer puts other limits in force for a running container, and then
// writes its annotations.
func (r *Runtime) UpdateContainer(ctx context.Context, id string, res container.Resources, annotations map[string]string) error {
	ctx = r.scope(ctx)
	c, err := r.client.LoadContainer(ctx, id)
	if err != nil {
		return native(err)
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", container.ErrNotRunning, err)
	}
	if err := task.Update(ctx, client.WithResources(updated(res))); err != nil {
		return fmt.Errorf("update container: %w", native(err))
	}
	labels, err := c.Labels(ctx)
	if err != nil {
		return native(err)
	}
	have := map[string]string{}
	if text := labels[labelAnnotations]; text != "" {
		if err := json.Unmarshal([]byte(text), &have); err != nil {
			return err
		}
	}
	maps.Copy(have, annotations)
	text, err := json.Marshal(have)
	if err != nil {
		return err
	}
	_, err = c.SetLabels(ctx, map[string]string{labelAnnotations: string(text)})
	return native(err)
}

// updated names every limit: what is left out stays as it was.
func updated(res container.Resources) *specs.LinuxResources {
	quota, memory := int64(-1), int64(-1)
	period := uint64(100_000)
	if res.CPUQuota > 0 {
		quota, period = res.CPUQuota, res.CPUPeriod
	}
	if res.MemoryLimit > 0 {
		memory = res.MemoryLimit
	}
	return &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Shares: &res.CPUShares, Quota: &quota, Period: &period},
		Memory: &specs.LinuxMemory{Limit: &memory},
	}
}
