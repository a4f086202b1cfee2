package apiserver

import (
	"runtime"
	"runtime/debug"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

// Version is the Kubernetes API level served.
const Version = "1.37.2"

// levelled is what /version answers.
type levelled struct {
	compatibility.EffectiveVersion
}

func effectiveVersion() compatibility.EffectiveVersion {
	return levelled{compatibility.NewEffectiveVersionFromString(Version, "", "")}
}

// Info implements compatibility.EffectiveVersion.
func (levelled) Info() *apimachineryversion.Info {
	info := &apimachineryversion.Info{
		Major: "1", Minor: "37", EmulationMajor: "1", EmulationMinor: "37", MinCompatibilityMajor: "1", MinCompatibilityMinor: "36",
		GitVersion: "v" + Version + "+pintle", GitCommit: "pintle", GitTreeState: "pintle",
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.GitCommit = "pintle-" + setting.Value
		case "vcs.time":
			info.BuildDate = setting.Value
		}
	}
	return info
}
