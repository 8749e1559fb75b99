package apitest

import (
	"time"

	"github.com/proxylite/proxylite-go"
)

// Beijing is the default zone of the API's zoneless times.
var Beijing = time.FixedZone("UTC+8", 8*60*60)

// At is a time in Beijing.
func At(year int, month time.Month, day, hour, minute, sec int) time.Time {
	return time.Date(year, month, day, hour, minute, sec, 0, Beijing)
}

func countryStates(items ...proxylite.State) []proxylite.CountryStates {
	return []proxylite.CountryStates{{NameZH: "美国", NameEN: "United States", ContinentCode: "NA", CountryCode: "US", States: items}}
}

func countryCities(items ...proxylite.City) []proxylite.CountryCities {
	return []proxylite.CountryCities{{NameZH: "美国", NameEN: "United States", ContinentCode: "NA", CountryCode: "US", Cities: items}}
}

// documentedOrder is the order of the vendor's document, placeholders included.
var documentedOrder = proxylite.Order{
	TradeNo: "string", ProductName: "string", TotalFee: "0.1", PayFee: "0.1",
	Status: proxylite.OrderAwaitingPayment, CreatedAt: At(2019, 8, 24, 22, 15, 22),
}

func documentedIPs() (x proxylite.Extraction) {
	for i := range 10 {
		x.Endpoints = append(x.Endpoints, proxylite.Endpoint{Host: "150.109.114.72", Port: 1140 + i})
	}
	return x
}

var fullOrder = proxylite.Order{
	ID: 5, TradeNo: "2022051312134339861461465434", ProductID: 7, ProductName: "1 GB", TotalFee: "18.20", PayFee: "18.10",
	Status: proxylite.OrderPaid, CreatedAt: At(2019, 8, 24, 22, 15, 22),
}

func createdOrder() proxylite.Order {
	created := fullOrder
	created.TradeNo, created.TotalFee, created.PayFee, created.Status = "T1", "0.1", "0.10", proxylite.OrderRefunded
	return created
}

// Raw is an entry as the API sent it.
func Raw(entry string) proxylite.RawEntry { return proxylite.NewRawEntry([]byte(entry)) }
