package purchase_test

const childEnv = "PURCHASE_TEST_CHILD"

func child() int { return 0 }
