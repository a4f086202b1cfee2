// Package apiserver puts the registry's storages behind HTTPS: upstream's handler
// chain (request info, authentication, audit, impersonation, limits,
// authorization), discovery, health, version, metrics, static OpenAPI and custom
// resources. Requests it does not know go down the delegation chain: built-in kinds,
// then custom resource definitions, then 404.
//
// It holds no state of the cluster and makes no decision about who may do what:
// authenticator, authorizer and admission are given to it. It never builds OpenAPI
// at run time. New starts nothing; Run serves until its context ends.
package apiserver
