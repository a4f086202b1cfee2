package app

import (
	"net/http"
	"path/filepath"

	"github.com/pintle-io/pintle/engine/decision"
)

// decisionBytes bounds each of the two files that keep decisions.
const decisionBytes = 32 << 20

func (c *controlPlane) decisionLog() (*decision.Log, error) {
	sink, err := decision.NewFileSink(filepath.Join(c.cfg.DataDir, "decisions"), decisionBytes)
	if err != nil {
		return nil, err
	}
	return decision.New(decision.Config{Sink: sink, Logger: c.log.With("part", "decision")}), nil
}

// decisionPaths is where the log is served.
func decisionPaths(log *decision.Log) map[string]http.Handler {
	return map[string]http.Handler{decision.Path: log.Handler(), decision.Path + "/": log.Handler()}
}
