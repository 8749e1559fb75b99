// Package reseller manages sub-accounts by the thousand. You write down which
// accounts you want, and it makes them so:
//
//	m, err := reseller.New(client)
//	if err != nil {
//		return err
//	}
//	results, err := m.Ensure(ctx, []reseller.Want{
//		{Name: "cust0001", Password: proxylite.NewPassword("s3cretpw"), Limit: 5 * proxylite.GB},
//	})
//
// [Manager.Ensure] adds and corrects accounts, and continues after a crash where it
// stopped. [NewPlan] and [Manager.Apply] do the same in two steps, with a person in
// between. [Manager.Usage] reports the traffic of many accounts. [Watch] tells when
// traffic or time runs out. [Manager.Wait] waits until a change is listed.
//
// # What is not known
//
// The API documents no rate limit. Pace, concurrency and the size of a chunk are our
// choice: 20 requests a second, 8 at a time, 100 accounts in one request.
//
// The API documents no error code for an account that is missing or already there.
// So there is no error value for a refusal for that reason: it is a
// [proxylite.Error] with the code and the message as sent. [ErrNoAccount] is what a
// list of the accounts shows.
//
// The API does not document since when a limit counts traffic. See [Counting].
package reseller
