package extension

import (
	"context"
	"net"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/compatibility"
	aggregatoropenapi "k8s.io/kube-aggregator/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/common"
)

// Options describe an extension server.
type Options struct {
	Listener net.Listener
	// CertFile and KeyFile are the serving certificate.
	CertFile, KeyFile string
	// Kubeconfig reaches the main server.
	Kubeconfig string
}

// New builds the server; Run of what it returns serves.
func New(opts Options) (*server.GenericAPIServer, error) {
	scheme, codecs := newScheme()
	c := server.NewRecommendedConfig(codecs)
	c.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	serving := options.NewSecureServingOptions().WithLoopback()
	serving.Listener, serving.BindPort = opts.Listener, opts.Listener.Addr().(*net.TCPAddr).Port
	serving.BindAddress = net.IPv4(127, 0, 0, 1)
	serving.ServerCert.CertKey = options.CertKey{CertFile: opts.CertFile, KeyFile: opts.KeyFile}
	if err := serving.ApplyTo(&c.SecureServing, &c.LoopbackClientConfig); err != nil {
		return nil, err
	}
	authentication := options.NewDelegatingAuthenticationOptions()
	authentication.RemoteKubeConfigFile = opts.Kubeconfig
	if err := authentication.ApplyTo(&c.Authentication, c.SecureServing, nil); err != nil {
		return nil, err
	}
	authorization := options.NewDelegatingAuthorizationOptions()
	authorization.RemoteKubeConfigFile = opts.Kubeconfig
	if err := authorization.ApplyTo(&c.Authorization); err != nil {
		return nil, err
	}
	all := func(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
		out := aggregatoropenapi.GetOpenAPIDefinitions(ref)
		for name, d := range definitions(ref) {
			out[name] = d
		}
		return out
	}
	namer := openapi.NewDefinitionNamer(scheme)
	c.OpenAPIConfig = server.DefaultOpenAPIConfig(all, namer)
	c.OpenAPIV3Config = server.DefaultOpenAPIV3Config(all, namer)
	c.OpenAPIConfig.Info.Title, c.OpenAPIV3Config.Info.Title = "Fruit", "Fruit"
	s, err := c.Complete().New("fruit", server.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	// The aggregator's watches are open when it stops; nothing is gained by waiting for them.
	s.ShutdownTimeout = time.Second
	info := server.NewDefaultAPIGroupInfo(group, scheme, metav1.ParameterCodec, codecs)
	info.VersionedResourcesStorageMap[version.Version] = map[string]rest.Storage{"fruits": newStorage()}
	return s, s.InstallAPIGroup(&info)
}

// Run serves until ctx ends.
func Run(ctx context.Context, s *server.GenericAPIServer) error {
	return s.PrepareRun().RunWithContext(ctx)
}
