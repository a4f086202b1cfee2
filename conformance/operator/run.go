package operator

import (
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Options say whom an operator works for and who it is.
type Options struct {
	Kubeconfig string
	Name       string
	// Port and CertDir are those of the webhook server.
	Port    int
	CertDir string
}

// Run works until the process is told to end or loses the lease.
func Run(opts Options) error {
	ctrl.SetLogger(logr.Discard())
	cfg, err := clientcmd.BuildConfigFromFlags("", opts.Kubeconfig)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	addToScheme(scheme)
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer:  webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: opts.Port, CertDir: opts.CertDir}),
		LeaderElection: true, LeaderElectionID: "bouquets", LeaderElectionNamespace: corev1.NamespaceDefault,
		LeaseDuration: new(6 * time.Second), RenewDeadline: new(4 * time.Second), RetryPeriod: new(500 * time.Millisecond),
	})
	if err != nil {
		return err
	}
	r := &reconciler{mgr.GetClient(), opts.Name}
	if err := ctrl.NewControllerManagedBy(mgr).For(&Bouquet{}).Owns(&corev1.ConfigMap{}).Complete(r); err != nil {
		return err
	}
	if err := ctrl.NewWebhookManagedBy(mgr, &Bouquet{}).WithDefaulter(hooks{}).WithValidator(hooks{}).Complete(); err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}
