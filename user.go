package proxylite

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// UserService describes the owner of the credential.
type UserService struct{ c *Client }

// User is the owner of the credential.
type User struct {
	ID         int64     `json:"id"`
	Email      string    `json:"email"`
	Phone      string    `json:"phone"`
	Balance    Decimal   `json:"balance"`
	Status     int       `json:"status" wire:"absent=-1"` // values are not documented; -1 if the response had none
	IsRealName *bool     `json:"is_real_name"`            // passed real-name verification; nil if the response did not say
	CreatedAt  time.Time `json:"created_at"`

	Unread map[string]string `json:"unread,omitempty" wire:"unread"` // see Order.Unread
}

// String returns the ID, without e-mail address and phone number.
func (u User) String() string { return "user " + strconv.FormatInt(u.ID, 10) }

// GoString keeps e-mail address and phone number out of %#v.
func (u User) GoString() string { return "proxylite.User(" + u.String() + ")" }

// LogValue keeps e-mail address and phone number out of logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

var opUserInfo = Operation{Name: "User.Info", Method: http.MethodGet, Path: "/user/info", Class: ClassSafe}

// Info returns the owner of the credential and the balance. The vendor's document
// calls this endpoint "not open yet": expect the API to refuse it.
//
// GET /user/info. Free; safe to retry.
func (s *UserService) Info(ctx context.Context, opts ...CallOption) (User, error) {
	in := s.c.input()
	in.needsData = true
	return send[User](ctx, s.c, &opUserInfo, in, opts)
}
