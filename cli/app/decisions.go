package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/scheduling"
)

// What the two logs keep. Anybody may be refused as often as they like, so that
// refusals have a log of their own, and a smaller one.
const (
	decisionBytes = 32 << 20 // in each of two files
	denialBytes   = 4 << 20
	denials       = 2000 // in memory
)

// newLogs opens what is served about decisions.
func (c *controlPlane) newLogs() (*decision.API, error) {
	dir := filepath.Join(c.cfg.DataDir, "decisions")
	decided, err := c.newLog("decision", dir, decisionBytes, 0)
	if err != nil {
		return nil, err
	}
	denied, err := c.newLog("denial", filepath.Join(dir, "denied"), denialBytes, denials)
	if err != nil {
		return nil, err
	}
	return &decision.API{Decisions: decided, Denials: denied}, nil
}

func (c *controlPlane) newLog(part, dir string, bytes int64, size int) (*decision.Log, error) {
	sink, err := decision.NewFileSink(dir, bytes)
	if err != nil {
		return nil, err
	}
	return decision.New(decision.Config{Sink: sink, Size: size, Logger: c.log.With("part", part)}), nil
}

// decisionPaths is where the logs are served.
func decisionPaths(api *decision.API) map[string]http.Handler {
	handler := api.Handler()
	return map[string]http.Handler{decision.Path: handler, decision.Path + "/": handler}
}

// judge answers why a pod is not on a node.
func (c *controlPlane) judge(scheduler *scheduling.Scheduler) func(ctx context.Context, namespace, pod, node string) (*decision.Judgement, error) {
	pods := c.client.Informers().Core().V1().Pods().Lister()
	return func(ctx context.Context, namespace, pod, node string) (*decision.Judgement, error) {
		p, err := pods.Pods(namespace).Get(pod)
		if err != nil {
			return nil, err
		}
		j, err := scheduler.Judge(ctx, p, node)
		switch {
		case errors.Is(err, scheduling.ErrNotRunning):
			return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("judge pod %s/%s: %v", namespace, pod, err))
		case errors.Is(err, scheduling.ErrNoNode):
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, node)
		}
		return j, err
	}
}
