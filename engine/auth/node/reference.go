package node

import (
	corev1 "k8s.io/api/core/v1"
)

// refersToSecret reports whether a pod's node needs the secret: volumes,
// environment and image pulls.
func refersToSecret(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.ImagePullSecrets {
		if pod.Spec.ImagePullSecrets[i].Name == name {
			return true
		}
	}
	for i := range pod.Spec.Volumes {
		if volumeSecret(&pod.Spec.Volumes[i].VolumeSource, name) {
			return true
		}
	}
	return anyContainer(&pod.Spec, func(env []corev1.EnvVar, from []corev1.EnvFromSource) bool {
		for i := range env {
			if f := env[i].ValueFrom; f != nil && f.SecretKeyRef != nil && f.SecretKeyRef.Name == name {
				return true
			}
		}
		for i := range from {
			if from[i].SecretRef != nil && from[i].SecretRef.Name == name {
				return true
			}
		}
		return false
	})
}

func volumeSecret(v *corev1.VolumeSource, name string) bool {
	local := func(r *corev1.LocalObjectReference) bool { return r != nil && r.Name == name }
	switch {
	case v.Secret != nil:
		return v.Secret.SecretName == name
	case v.Projected != nil:
		for i := range v.Projected.Sources {
			if s := v.Projected.Sources[i].Secret; s != nil && s.Name == name {
				return true
			}
		}
	case v.CSI != nil:
		return local(v.CSI.NodePublishSecretRef)
	case v.CephFS != nil:
		return local(v.CephFS.SecretRef)
	case v.RBD != nil:
		return local(v.RBD.SecretRef)
	case v.ISCSI != nil:
		return local(v.ISCSI.SecretRef)
	case v.FlexVolume != nil:
		return local(v.FlexVolume.SecretRef)
	case v.Cinder != nil:
		return local(v.Cinder.SecretRef)
	case v.ScaleIO != nil:
		return local(v.ScaleIO.SecretRef)
	case v.StorageOS != nil:
		return local(v.StorageOS.SecretRef)
	case v.AzureFile != nil:
		return v.AzureFile.SecretName == name
	}
	return false
}

// refersToConfigMap is refersToSecret for config maps.
func refersToConfigMap(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.ConfigMap != nil && v.ConfigMap.Name == name {
			return true
		}
		if v.Projected == nil {
			continue
		}
		for j := range v.Projected.Sources {
			if c := v.Projected.Sources[j].ConfigMap; c != nil && c.Name == name {
				return true
			}
		}
	}
	return anyContainer(&pod.Spec, func(env []corev1.EnvVar, from []corev1.EnvFromSource) bool {
		for i := range env {
			if f := env[i].ValueFrom; f != nil && f.ConfigMapKeyRef != nil && f.ConfigMapKeyRef.Name == name {
				return true
			}
		}
		for i := range from {
			if from[i].ConfigMapRef != nil && from[i].ConfigMapRef.Name == name {
				return true
			}
		}
		return false
	})
}

func anyContainer(spec *corev1.PodSpec, f func([]corev1.EnvVar, []corev1.EnvFromSource) bool) bool {
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if f(list[i].Env, list[i].EnvFrom) {
				return true
			}
		}
	}
	for i := range spec.EphemeralContainers {
		if f(spec.EphemeralContainers[i].Env, spec.EphemeralContainers[i].EnvFrom) {
			return true
		}
	}
	return false
}

// refersToClaim reports whether a pod mounts the claim, by name or as an
// ephemeral volume.
func refersToClaim(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if c := v.PersistentVolumeClaim; c != nil && c.ClaimName == name {
			return true
		}
		if v.Ephemeral != nil && pod.Name+"-"+v.Name == name {
			return true
		}
	}
	return false
}

func refersToServiceAccount(pod *corev1.Pod, name string) bool {
	return pod.Spec.ServiceAccountName == name
}

func refersToResourceClaim(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.ResourceClaims {
		if c := pod.Spec.ResourceClaims[i].ResourceClaimName; c != nil && *c == name {
			return true
		}
	}
	if e := pod.Status.ExtendedResourceClaimStatus; e != nil && e.ResourceClaimName == name {
		return true
	}
	for i := range pod.Status.ResourceClaimStatuses {
		if c := pod.Status.ResourceClaimStatuses[i].ResourceClaimName; c != nil && *c == name {
			return true
		}
	}
	return false
}

// volumeSecrets lists the secrets that a node needs to mount a persistent volume, as
// namespace/name. Where a reference has no namespace it is the claim's.
func volumeSecrets(pv *corev1.PersistentVolume) []string {
	var out []string
	add := func(r *corev1.SecretReference) {
		if r == nil || r.Name == "" {
			return
		}
		namespace := r.Namespace
		if namespace == "" {
			namespace = pv.Spec.ClaimRef.Namespace
		}
		out = append(out, namespace+"/"+r.Name)
	}
	s := &pv.Spec.PersistentVolumeSource
	switch {
	case s.CSI != nil:
		add(s.CSI.NodePublishSecretRef)
		add(s.CSI.NodeStageSecretRef)
		add(s.CSI.NodeExpandSecretRef)
	case s.CephFS != nil:
		add(s.CephFS.SecretRef)
	case s.RBD != nil:
		add(s.RBD.SecretRef)
	case s.ISCSI != nil:
		add(s.ISCSI.SecretRef)
	case s.FlexVolume != nil:
		add(s.FlexVolume.SecretRef)
	case s.Cinder != nil:
		add(s.Cinder.SecretRef)
	case s.ScaleIO != nil:
		add(s.ScaleIO.SecretRef)
	case s.StorageOS != nil && s.StorageOS.SecretRef != nil:
		add(&corev1.SecretReference{Name: s.StorageOS.SecretRef.Name, Namespace: s.StorageOS.SecretRef.Namespace})
	case s.AzureFile != nil:
		ref := &corev1.SecretReference{Name: s.AzureFile.SecretName}
		if s.AzureFile.SecretNamespace != nil {
			ref.Namespace = *s.AzureFile.SecretNamespace
		}
		add(ref)
	}
	return out
}
