package cli

import (
	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

func (a *app) productsCmd() *cobra.Command {
	var (
		p           pages
		tradeNo     string
		productType int
	)
	columns := []column[proxylite.PurchasedProduct]{
		{name: "id", value: func(x proxylite.PurchasedProduct) any { return x.ID }},
		{name: "product_type", value: func(x proxylite.PurchasedProduct) any { return x.ProductType }},
		{name: "trade_no", value: func(x proxylite.PurchasedProduct) any { return x.TradeNo }},
		{name: "title", value: func(x proxylite.PurchasedProduct) any { return x.Order.Title }},
		{name: "created_at", value: func(x proxylite.PurchasedProduct) any { return x.CreatedAt }},
		{name: "expired_at", value: func(x proxylite.PurchasedProduct) any { return x.ExpiredAt }},
	}
	cmd := &cobra.Command{
		Use:   "products",
		Short: "List the purchased plans, with their ends",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			return show(a, columns, first(p.limit, client.Products.All(cmd.Context(), proxylite.ProductListParams{
				PageParams: p.PageParams, TradeNo: tradeNo, ProductType: proxylite.ProductType(productType),
			})))
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVar(&tradeNo, "trade-no", "", "plans of one order")
	cmd.Flags().IntVar(&productType, "product-type", 0, "one kind of plan (default all)")
	return columnHelp(cmd, columns)
}
