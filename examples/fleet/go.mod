module github.com/proxylite/proxylite-go/examples/fleet

go 1.26.0

replace (
	github.com/proxylite/proxylite-go => ../..
	github.com/proxylite/proxylite-go/pool/redisstore => ../../pool/redisstore
)

require (
	github.com/alicebob/miniredis/v2 v2.40.0
	github.com/proxylite/proxylite-go v0.1.0
	github.com/proxylite/proxylite-go/pool/redisstore v0.1.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	github.com/redis/go-redis/v9 v9.23.0 // indirect
	github.com/yuin/gopher-lua v1.1.1 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
