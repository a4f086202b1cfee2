package command

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"github.com/urfave/cli/v2"
	"k8s.io/klog/v2"
)

// newLogger writes text lines of the given level and up. What upstream's
// libraries log through klog goes the same way, what they merely announce only at
// level debug.
func newLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, cli.Exit(fmt.Sprintf("--log-level %q: want debug, info, warn or error", level), 2)
	}
	handler := slog.NewTextHandler(w, &slog.HandlerOptions{Level: l})
	upstream := slog.NewTextHandler(w, &slog.HandlerOptions{Level: max(l, slog.LevelWarn)})
	if l < slog.LevelInfo {
		upstream = handler
	}
	klog.SetLogger(logr.FromSlogHandler(upstream.WithAttrs([]slog.Attr{slog.String("from", "klog")})))
	return slog.New(handler), nil
}
