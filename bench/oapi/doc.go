// Package oapi is what oapi-codegen makes of openapi.yaml, one of the contestants.
package oapi

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -generate types,client -package oapi -o client.gen.go openapi.yaml
