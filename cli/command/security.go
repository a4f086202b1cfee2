package command

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/pintle-io/pintle/cli/app"
	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/auth/authn"
)

// securityFlags have the names and meanings of kube-apiserver's.
func securityFlags() []cli.Flag {
	const category = "Security"
	audit, proxy := app.DefaultAudit(), authn.DefaultFrontProxy(nil)
	return []cli.Flag{
		&cli.StringFlag{Category: category, Name: "authentication-config", Usage: "an AuthenticationConfiguration in `FILE`: OpenID issuers, anonymous requests (read again when it changes)"},
		&cli.StringFlag{Category: category, Name: "authorization-config", Usage: "an AuthorizationConfiguration in `FILE`: webhooks beside nodes and roles (read again when it changes)"},
		&cli.StringFlag{Category: category, Name: "authentication-token-webhook-config-file", Usage: "a kubeconfig in `FILE` for the service that knows other tokens"},
		&cli.DurationFlag{Category: category, Name: "authentication-token-webhook-cache-ttl", Usage: "remember its answers for `TIME`", Value: app.DefaultTokenWebhookTTL},
		&cli.StringFlag{Category: category, Name: "oidc-issuer-url", Usage: "take tokens of the OpenID issuer at `URL`; instead of --authentication-config"},
		&cli.StringFlag{Category: category, Name: "oidc-client-id", Usage: "`AUDIENCE` of its tokens"},
		&cli.StringFlag{Category: category, Name: "oidc-ca-file", Usage: "authorities of its certificate in `FILE` (default: the machine's)"},
		&cli.StringFlag{Category: category, Name: "oidc-username-claim", Usage: "`CLAIM` that names the user", Value: "sub"},
		&cli.StringFlag{Category: category, Name: "oidc-username-prefix", Usage: "`PREFIX` of user names; - for none (default: the issuer and #, none for the claim email)"},
		&cli.StringFlag{Category: category, Name: "oidc-groups-claim", Usage: "`CLAIM` that names groups"},
		&cli.StringFlag{Category: category, Name: "oidc-groups-prefix", Usage: "`PREFIX` of groups"},
		&cli.StringFlag{Category: category, Name: "oidc-signing-algs", Usage: "accepted `ALGORITHMS` of signatures, with commas", Value: "RS256"},
		&cli.StringSliceFlag{Category: category, Name: "oidc-required-claim", Usage: "`KEY=VALUE` that tokens must have; may be repeated"},
		&cli.StringFlag{Category: category, Name: "admission-control-config-file", Usage: "an AdmissionConfiguration in `FILE`: credentials for webhooks, defaults of pod security, limits of resources"},
		&cli.StringFlag{Category: category, Name: "enable-admission-plugins", Usage: "`PLUGINS` to turn on beside the usual ones, with commas"},
		&cli.StringFlag{Category: category, Name: "disable-admission-plugins", Usage: "`PLUGINS` to turn off, with commas"},
		&cli.StringFlag{Category: category, Name: "requestheader-client-ca-file", Usage: "authorities in `FILE` of proxies that may name users in headers (read again when it changes)"},
		&cli.StringFlag{Category: category, Name: "requestheader-allowed-names", Usage: "common `NAMES` of those proxies, with commas (default: any)"},
		&cli.StringFlag{Category: category, Name: "requestheader-username-headers", Usage: "`HEADERS` that name the user", Value: strings.Join(proxy.UsernameHeaders, ",")},
		&cli.StringFlag{Category: category, Name: "requestheader-uid-headers", Usage: "`HEADERS` with the user's UID", Value: strings.Join(proxy.UIDHeaders, ",")},
		&cli.StringFlag{Category: category, Name: "requestheader-group-headers", Usage: "`HEADERS` that name groups", Value: strings.Join(proxy.GroupHeaders, ",")},
		&cli.StringFlag{Category: category, Name: "requestheader-extra-headers-prefix", Usage: "`PREFIXES` of headers with more", Value: strings.Join(proxy.ExtraHeaderPrefixes, ",")},
		&cli.StringFlag{Category: category, Name: "audit-policy-file", Usage: "an audit Policy in `FILE` (default: who changed what, without bodies)"},
		&cli.StringFlag{Category: category, Name: "audit-log-path", Usage: "record in `FILE`; - is standard output, " + app.NoAuditLog + " turns it off (default: audit/audit.log in the data directory)"},
		&cli.IntFlag{Category: category, Name: "audit-log-maxsize", Usage: "begin a new file after `MB`", Value: audit.MaxSize},
		&cli.IntFlag{Category: category, Name: "audit-log-maxbackup", Usage: "keep `N` old files; 0 for all", Value: audit.MaxBackups},
		&cli.IntFlag{Category: category, Name: "audit-log-maxage", Usage: "keep old files for `DAYS`; 0 for ever"},
		&cli.BoolFlag{Category: category, Name: "audit-log-compress", Usage: "compress old files"},
		&cli.StringFlag{Category: category, Name: "audit-webhook-config-file", Usage: "a kubeconfig in `FILE` for a service that takes audit events"},
		&cli.IntFlag{Category: category, Name: "max-requests-inflight", Usage: "serve `N` reads at a time", Value: apiserver.DefaultMaxRequests},
		&cli.IntFlag{Category: category, Name: "max-mutating-requests-inflight", Usage: "serve `N` writes at a time", Value: apiserver.DefaultMaxWrites},
		&cli.BoolFlag{Category: category, Name: "enable-priority-and-fairness", Usage: "queue requests by priority and flow, not only count them", Value: true},
		&cli.BoolFlag{Category: category, Name: "profiling", Usage: "serve /debug/pprof to administrators", Value: true},
	}
}

func securityConfig(c *cli.Context) app.Security {
	s := app.Security{
		AuthenticationConfig: c.String("authentication-config"),
		AuthorizationConfig:  c.String("authorization-config"),
		TokenWebhook: authn.Webhook{
			Kubeconfig: c.String("authentication-token-webhook-config-file"), CacheTTL: c.Duration("authentication-token-webhook-cache-ttl"),
		},
		OIDC: authn.OIDC{
			IssuerURL: c.String("oidc-issuer-url"), ClientID: c.String("oidc-client-id"), CAFile: c.String("oidc-ca-file"),
			UsernameClaim: c.String("oidc-username-claim"), UsernamePrefix: c.String("oidc-username-prefix"),
			GroupsClaim: c.String("oidc-groups-claim"), GroupsPrefix: c.String("oidc-groups-prefix"),
			SigningAlgs: commas(c, "oidc-signing-algs"),
		},
		OIDCRequiredClaims: c.StringSlice("oidc-required-claim"),
		AdmissionConfig:    c.String("admission-control-config-file"),
		AdmissionPlugins:   commas(c, "enable-admission-plugins"), NoAdmissionPlugins: commas(c, "disable-admission-plugins"),
		FrontProxyCA: c.String("requestheader-client-ca-file"),
		FrontProxy: authn.FrontProxy{
			AllowedNames: commas(c, "requestheader-allowed-names"), UsernameHeaders: commas(c, "requestheader-username-headers"),
			UIDHeaders: commas(c, "requestheader-uid-headers"), GroupHeaders: commas(c, "requestheader-group-headers"),
			ExtraHeaderPrefixes: commas(c, "requestheader-extra-headers-prefix"),
		},
		MaxRequests: c.Int("max-requests-inflight"), MaxWrites: c.Int("max-mutating-requests-inflight"),
		NoFairness: !c.Bool("enable-priority-and-fairness"), NoProfiling: !c.Bool("profiling"),
		Flags: flagValues(c),
	}
	s.Audit.PolicyFile, s.Audit.Path = c.String("audit-policy-file"), c.String("audit-log-path")
	s.Audit.MaxSize, s.Audit.MaxBackups, s.Audit.MaxAge = c.Int("audit-log-maxsize"), c.Int("audit-log-maxbackup"), c.Int("audit-log-maxage")
	s.Audit.Compress, s.Audit.WebhookKubeconfig = c.Bool("audit-log-compress"), c.String("audit-webhook-config-file")
	return s
}

// commas splits a list; an empty one is nil.
func commas(c *cli.Context, flag string) []string {
	return strings.FieldsFunc(c.String(flag), func(r rune) bool { return r == ',' || r == ' ' })
}

// flagValues are the values of all flags of the command, none of which is a secret.
func flagValues(c *cli.Context) map[string]string {
	out := map[string]string{}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if name == "help" {
			continue
		}
		out[name] = fmt.Sprint(c.Value(name))
	}
	return out
}
