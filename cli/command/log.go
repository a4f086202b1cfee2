package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

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
	klog.SetLogger(logr.FromSlogHandler(quiet{upstream.WithAttrs([]slog.Attr{slog.String("from", "klog")})}))
	return slog.New(handler), nil
}

// ordinary are messages that upstream's libraries call errors and that mean only
// that a client hung up or that this process is ending.
var ordinary = []string{"Error on socket receive", "context canceled"}

// quiet leaves out ordinary messages.
type quiet struct{ slog.Handler }

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			text += " " + a.Value.String()
		}
		return true
	})
	for _, o := range ordinary {
		if strings.Contains(text, o) {
			return nil
		}
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
