// Command web is the front end of the example application: one HTML page that
// counts a visit in the back end, which it finds by Service name, and shows what
// the cluster gave it: configuration, a secret (never its value), its own name.
package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &site{
		counter:      env("COUNTER_URL", "http://counter:8080"),
		greetingFile: env("GREETING_FILE", "/etc/demo/greeting"),
		title:        env("TITLE", "Pintle"),
		token:        os.Getenv("TOKEN"),
		pod:          os.Getenv("POD_NAME"),
		podIP:        os.Getenv("POD_IP"),
		node:         os.Getenv("NODE_NAME"),
		client:       &http.Client{Timeout: 3 * time.Second},
		logger:       logger,
	}
	if err := serve(ctx, logger, env("LISTEN", ":8080"), s.handler()); err != nil {
		logger.Error("ended", "err", err)
		os.Exit(1)
	}
}

func env(name, fallback string) string { return cmp.Or(os.Getenv(name), fallback) }

// serve runs until ctx ends, then lets open requests finish.
func serve(ctx context.Context, logger *slog.Logger, addr string, h http.Handler) error {
	srv := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(grace)
	}()
	logger.Info("web is up", "listen", addr)
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
