package proxylite_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"

	"github.com/proxylite/proxylite-go"
	"github.com/proxylite/proxylite-go/internal/apitest"
)

// Where daylight saving time begins at midnight, a day has no 00:00. It must not
// become the day before, whose traffic would then be two days' traffic.
func TestADayWithoutMidnightIsThatDay(t *testing.T) {
	t.Parallel()
	for zone, days := range map[string][3]string{
		"America/Santiago":  {"2026-09-05", "2026-09-06", "2026-09-07"},
		"America/Havana":    {"2026-03-07", "2026-03-08", "2026-03-09"},
		"Africa/Cairo":      {"2026-04-23", "2026-04-24", "2026-04-25"},
		"Asia/Shanghai":     {"2026-03-28", "2026-03-29", "2026-03-30"},
		"America/Sao_Paulo": {"2018-11-03", "2018-11-04", "2018-11-05"},
		"America/New_York":  {"2026-10-31", "2026-11-01", "2026-11-02"}, // 1:30 comes twice
	} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for _, form := range []string{"%s", "%s 00:00:00", "%sT00:00:00", "%s 00:00", "compact"} {
			body := `{"code":0,"data":{"list":[`
			for i, day := range days {
				shown := strings.ReplaceAll(day, "-", "") + "000000"
				if form != "compact" {
					shown = fmt.Sprintf(form, day)
				}
				body += fmt.Sprintf(`{"day":%q,"flow":%d},`, shown, i+1)
			}
			c, _ := apitest.Mocked(t, 200, body[:len(body)-1]+`]}}`, proxylite.WithTimeZone(location))
			usage, err := c.Usage.Daily(t.Context(), proxylite.UsageDailyParams{})
			require.NoError(t, err)
			for i, day := range days {
				require.Equal(t, day, usage[i].Day.Format(time.DateOnly), "%s %s", zone, form)
			}
		}
	}
	// A day that a zone left out altogether is not the day before either.
	apia, err := time.LoadLocation("Pacific/Apia")
	require.NoError(t, err)
	c, _ := apitest.Mocked(t, 200, `{"code":0,"data":{"list":[{"day":"2011-12-30","flow":1}]}}`, proxylite.WithTimeZone(apia))
	usage, err := c.Usage.Daily(t.Context(), proxylite.UsageDailyParams{})
	require.NoError(t, err)
	require.Equal(t, "2011-12-31", usage[0].Day.Format(time.DateOnly))
}
