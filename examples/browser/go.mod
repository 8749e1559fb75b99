module github.com/proxylite/proxylite-go/examples/browser

go 1.26.0

replace github.com/proxylite/proxylite-go => ../..

require (
	github.com/chromedp/chromedp v0.23.0
	github.com/proxylite/proxylite-go v0.0.0-00010101000000-000000000000
)

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	golang.org/x/net v0.62.0 // indirect
)
