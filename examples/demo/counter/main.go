// Command counter is the stateful back end of the example application: it counts
// visits, keeps the count in a file, and serves it over HTTP.
//
//	GET  /visits         {"visits":3}
//	POST /visits         counts one more and answers the new count
//	PUT  /visits?seed=N  sets the count if nothing was counted yet (needs the token)
//	GET  /healthz        200 as long as the file can be written
//
// With the argument "seed" it is the client that does the last: the example's Job.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "seed" {
		err = seed(ctx, http.DefaultClient, env("COUNTER_URL", "http://counter:8080"), env("SEED", "0"), os.Getenv("TOKEN"))
	} else {
		err = serve(ctx, logger, env("LISTEN", ":8080"), env("DATA_DIR", "/data"), os.Getenv("TOKEN"))
	}
	if err != nil {
		logger.Error("ended", "err", err)
		os.Exit(1)
	}
}

func env(name, fallback string) string { return cmp.Or(os.Getenv(name), fallback) }

// serve runs until ctx ends, then lets open requests finish.
func serve(ctx context.Context, logger *slog.Logger, addr, dir, token string) error {
	c, err := open(filepath.Join(dir, "visits.json"))
	if err != nil {
		return err
	}
	srv := &http.Server{Addr: addr, Handler: c.handler(token), ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(grace)
	}()
	logger.Info("counter is up", "listen", addr, "visits", c.visits())
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// seed asks the counter to start at a value, trying again while it is not up.
func seed(ctx context.Context, client *http.Client, url, value, token string) error {
	var last error
	for range 30 {
		if last = seedOnce(ctx, client, url, value, token); last == nil {
			fmt.Println("the counter is seeded")
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return last
}

func seedOnce(ctx context.Context, client *http.Client, url, value, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url+"/visits?seed="+value, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("seed %s: %s", url, res.Status)
	}
	return nil
}
