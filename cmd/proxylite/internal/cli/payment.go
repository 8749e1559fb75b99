package cli

import (
	"github.com/spf13/cobra"

	"github.com/proxylite/proxylite-go"
)

func (a *app) paymentCmd() *cobra.Command {
	var tradeNo string
	columns := []column[proxylite.PaymentMethod]{
		{name: "id", value: func(x proxylite.PaymentMethod) any { return x.ID }},
		{name: "title", value: func(x proxylite.PaymentMethod) any { return x.Title }},
		{name: "group", value: func(x proxylite.PaymentMethod) any { return x.Group }},
		{name: "min", value: func(x proxylite.PaymentMethod) any { return x.Min }},
		{name: "max", value: func(x proxylite.PaymentMethod) any { return x.Max }},
		{name: "disabled", value: func(x proxylite.PaymentMethod) any { return x.Disabled }},
		{name: "logo", value: func(x proxylite.PaymentMethod) any { return x.Logo }, extra: true},
	}
	cmd := &cobra.Command{
		Use:   "payment",
		Short: "List the payment methods",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			list, err := client.Payment.Methods(cmd.Context(), proxylite.PaymentGroupsParams{TradeNo: tradeNo})
			if err != nil {
				return err
			}
			return show(a, columns, all(list))
		},
	}
	cmd.Flags().StringVar(&tradeNo, "trade-no", "", "methods for this order")
	return columnHelp(cmd, columns)
}

func (a *app) bonusCmd() *cobra.Command {
	columns := []column[proxylite.RechargeGiftRatio]{
		{name: "amount", value: func(x proxylite.RechargeGiftRatio) any { return x.Amount }},
		{name: "ratio", value: func(x proxylite.RechargeGiftRatio) any { return x.Ratio }},
	}
	cmd := &cobra.Command{
		Use:   "bonus",
		Short: "List the bonus for each recharge amount",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			list, err := client.Marketing.RechargeGiftRatios(cmd.Context())
			if err != nil {
				return err
			}
			return show(a, columns, all(list))
		},
	}
	return columnHelp(cmd, columns)
}

func (a *app) userCmd() *cobra.Command {
	columns := []column[proxylite.User]{
		{name: "id", value: func(x proxylite.User) any { return x.ID }},
		{name: "email", value: func(x proxylite.User) any { return x.Email }},
		{name: "phone", value: func(x proxylite.User) any { return x.Phone }},
		{name: "balance", value: func(x proxylite.User) any { return x.Balance }},
		{name: "is_real_name", value: func(x proxylite.User) any { return x.IsRealName }},
		{name: "created_at", value: func(x proxylite.User) any { return x.CreatedAt }},
		{name: "status", value: func(x proxylite.User) any { return x.Status }, extra: true},
	}
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Show the owner of the credential and the balance",
		Long:  `Show the owner of the credential and the balance. The vendor calls this endpoint "not open yet": it may refuse.`,
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			user, err := client.User.Info(cmd.Context())
			if err != nil {
				return err
			}
			return show(a, columns, all([]proxylite.User{user}))
		},
	}
	return columnHelp(cmd, columns)
}
