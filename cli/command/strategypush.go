package command

import (
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/authoring"
	"github.com/pintle-io/pintle/engine/strategy/artifact"
)

func strategyPushCommand() *cli.Command {
	return &cli.Command{
		Name: "push", Usage: "Write a strategy's module to an OCI registry, and print its reference by digest", ArgsUsage: "REGISTRY/REPOSITORY[:TAG] [DIR]",
		Description: "The credentials are those of `docker login`.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "plain-http", Usage: "speak without TLS, to a registry on this machine"},
			&cli.StringFlag{Name: "key", Usage: "sign with the private key in `FILE` (PEM, as `openssl genpkey` makes)"},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 2)
			if err != nil {
				return err
			}
			p, err := authoring.Open(append(args, ".")[1])
			if err != nil {
				return err
			}
			module, err := os.ReadFile(p.Module())
			if err != nil {
				return fmt.Errorf("read the module, which `pintle strategy build` makes: %w", err)
			}
			pusher := artifact.Pusher{PlainHTTP: c.Bool("plain-http"), Keychain: authn.DefaultKeychain}
			if file := c.String("key"); file != "" {
				raw, err := os.ReadFile(file)
				if err == nil {
					pusher.Key, err = artifact.ParseSigner(raw)
				}
				if err != nil {
					return fmt.Errorf("--key %s: %w", file, err)
				}
			}
			reference, err := pusher.Push(c.Context, args[0], module)
			if err != nil {
				return err
			}
			return printf(c, "%s\n", reference)
		},
	}
}
