package core

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (s *specScope) validateProbes(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p := c.LivenessProbe; p != nil {
		probeAt := at.Child("livenessProbe")
		errs = append(errs, validateProbe(p, probeAt)...)
		errs = append(errs, onceSuccessful(p, probeAt)...)
	}
	if p := c.ReadinessProbe; p != nil {
		probeAt := at.Child("readinessProbe")
		errs = append(errs, validateProbe(p, probeAt)...)
		if t := p.TerminationGracePeriodSeconds; t != nil {
			errs = append(errs, field.Invalid(probeAt.Child("terminationGracePeriodSeconds"), *t, "must not be set for readinessProbes"))
		}
	}
	if p := c.StartupProbe; p != nil {
		probeAt := at.Child("startupProbe")
		errs = append(errs, validateProbe(p, probeAt)...)
		errs = append(errs, onceSuccessful(p, probeAt)...)
	}
	return errs
}

func onceSuccessful(p *corev1.Probe, at *field.Path) field.ErrorList {
	if p.SuccessThreshold != 1 {
		return field.ErrorList{field.Invalid(at.Child("successThreshold"), p.SuccessThreshold, "must be 1")}
	}
	return nil
}

func validateProbe(p *corev1.Probe, at *field.Path) field.ErrorList {
	h := handler{exec: p.Exec, http: p.HTTPGet, tcp: p.TCPSocket, grpc: p.GRPC}
	errs := h.validate(0, at)
	errs = append(errs, validateNotNegative(int64(p.InitialDelaySeconds), at.Child("initialDelaySeconds"))...)
	errs = append(errs, validateNotNegative(int64(p.TimeoutSeconds), at.Child("timeoutSeconds"))...)
	errs = append(errs, validateNotNegative(int64(p.PeriodSeconds), at.Child("periodSeconds"))...)
	errs = append(errs, validateNotNegative(int64(p.SuccessThreshold), at.Child("successThreshold"))...)
	errs = append(errs, validateNotNegative(int64(p.FailureThreshold), at.Child("failureThreshold"))...)
	if t := p.TerminationGracePeriodSeconds; t != nil && *t <= 0 {
		errs = append(errs, field.Invalid(at.Child("terminationGracePeriodSeconds"), *t, "must be greater than 0"))
	}
	return errs
}

func (s *specScope) validateLifecycle(l *corev1.Lifecycle, at *field.Path) field.ErrorList {
	if l == nil {
		return nil
	}
	var errs field.ErrorList
	hook := func(h *corev1.LifecycleHandler, name string) {
		if h != nil {
			errs = append(errs, handler{exec: h.Exec, http: h.HTTPGet, tcp: h.TCPSocket, sleep: h.Sleep}.validate(s.grace, at.Child(name))...)
		}
	}
	hook(l.PostStart, "postStart")
	hook(l.PreStop, "preStop")
	if l.StopSignal != nil {
		errs = append(errs, s.validateStopSignal(*l.StopSignal, at.Child("stopSignal"))...)
	}
	return errs
}

// Signals that a container can be stopped with, by the system it runs on.
var (
	linuxSignals   = signals()
	windowsSignals = []corev1.Signal{corev1.SIGKILL, corev1.SIGTERM}
)

func signals() []corev1.Signal {
	list := []corev1.Signal{
		corev1.SIGABRT, corev1.SIGALRM, corev1.SIGBUS, corev1.SIGCHLD, corev1.SIGCLD, corev1.SIGCONT, corev1.SIGFPE, corev1.SIGHUP,
		corev1.SIGILL, corev1.SIGINT, corev1.SIGIO, corev1.SIGIOT, corev1.SIGKILL, corev1.SIGPIPE, corev1.SIGPOLL, corev1.SIGPROF,
		corev1.SIGPWR, corev1.SIGQUIT, corev1.SIGSEGV, corev1.SIGSTKFLT, corev1.SIGSTOP, corev1.SIGSYS, corev1.SIGTERM, corev1.SIGTRAP,
		corev1.SIGTSTP, corev1.SIGTTIN, corev1.SIGTTOU, corev1.SIGURG, corev1.SIGUSR1, corev1.SIGUSR2, corev1.SIGVTALRM, corev1.SIGWINCH,
		corev1.SIGXCPU, corev1.SIGXFSZ, corev1.SIGRTMIN, corev1.SIGRTMAX,
	}
	for i := 1; i <= 15; i++ {
		list = append(list, corev1.Signal(fmt.Sprintf("SIGRTMIN+%d", i)))
	}
	for i := 1; i <= 14; i++ {
		list = append(list, corev1.Signal(fmt.Sprintf("SIGRTMAX-%d", i)))
	}
	slices.Sort(list)
	return list
}

func (s *specScope) validateStopSignal(signal corev1.Signal, at *field.Path) field.ErrorList {
	switch {
	case s.spec.OS == nil:
		return field.ErrorList{field.Forbidden(at, "may not be set for containers with empty `spec.os.name`")}
	case s.spec.OS.Name == corev1.Windows:
		return supported(signal, at, windowsSignals...)
	case s.spec.OS.Name == corev1.Linux:
		return supported(signal, at, linuxSignals...)
	}
	return nil
}

// handler is what probes and hooks have in common: exactly one way to act.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

func (h handler) validate(grace int64, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	count := 0
	way := func(set bool, name string, check func(*field.Path) field.ErrorList) {
		switch {
		case !set:
		case count > 0:
			errs = append(errs, field.Forbidden(at.Child(name), "may not specify more than 1 handler type"))
		default:
			count++
			errs = append(errs, check(at.Child(name))...)
		}
	}
	way(h.exec != nil, "exec", func(at *field.Path) field.ErrorList {
		if len(h.exec.Command) == 0 {
			return field.ErrorList{field.Required(at.Child("command"), "")}
		}
		return nil
	})
	way(h.http != nil, "httpGet", func(at *field.Path) field.ErrorList { return validateHTTPGet(h.http, at) })
	way(h.tcp != nil, "tcpSocket", func(at *field.Path) field.ErrorList { return validatePortNumOrName(h.tcp.Port, at.Child("port")) })
	way(h.grpc != nil, "grpc", func(at *field.Path) field.ErrorList { return validatePort(h.grpc.Port, at.Child("port")) })
	way(h.sleep != nil, "sleep", func(at *field.Path) field.ErrorList {
		if h.sleep.Seconds < 0 || h.sleep.Seconds > grace {
			return field.ErrorList{field.Invalid(at, h.sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", grace))}
		}
		return nil
	})
	if count == 0 {
		errs = append(errs, field.Required(at, "must specify a handler type"))
	}
	return errs
}

func validateHTTPGet(get *corev1.HTTPGetAction, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if get.Path == "" {
		errs = append(errs, field.Required(at.Child("path"), ""))
	}
	errs = append(errs, validatePortNumOrName(get.Port, at.Child("port"))...)
	errs = append(errs, supported(get.Scheme, at.Child("scheme"), corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
	for _, h := range get.HTTPHeaders {
		errs = append(errs, invalidEach(at.Child("httpHeaders"), h.Name, utilvalidation.IsHTTPHeaderName(h.Name))...)
	}
	return errs
}

func validatePortNumOrName(port intstr.IntOrString, at *field.Path) field.ErrorList {
	if port.Type == intstr.Int {
		return invalidEach(at, port.IntValue(), utilvalidation.IsValidPortNum(port.IntValue()))
	}
	return invalidEach(at, port.StrVal, utilvalidation.IsValidPortName(port.StrVal))
}
