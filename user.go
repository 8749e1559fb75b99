package proxylite

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// UserService tells about the owner of the credential.
type UserService struct{ c *Client }

// User is the owner of the credential.
type User struct {
	ID         int64     `json:"id"`
	Email      string    `json:"email"`
	Phone      string    `json:"phone"`
	Balance    Decimal   `json:"balance"`
	Status     int       `json:"status" wire:"absent=-1"` // its values are not documented; -1 if the answer had none
	IsRealName *bool     `json:"is_real_name"`            // real-name verification passed; nil if the answer had none
	CreatedAt  time.Time `json:"created_at"`
}

// String leaves e-mail and phone out.
func (u User) String() string { return "user " + strconv.FormatInt(u.ID, 10) }

// GoString keeps e-mail and phone out of %#v.
func (u User) GoString() string { return "proxylite.User(" + u.String() + ")" }

// LogValue keeps e-mail and phone out of logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

var opUserInfo = Operation{Name: "User.Info", Method: http.MethodGet, Path: "/user/info", Class: ClassSafe}

// Info returns the owner and the balance. The vendor's document says that this
// endpoint is "not open yet": expect a refusal.
//
// GET /user/info. Free; may be repeated.
func (s *UserService) Info(ctx context.Context, opts ...CallOption) (User, error) {
	in := s.c.input()
	in.needsData = true
	return send[User](ctx, s.c, &opUserInfo, in, opts)
}
