#include "attestation/kbs/sessions.h"

#include <gtest/gtest.h>

#include "tests/attestation/store/scratch_store.h"

namespace coffer::kbs {
namespace {

constexpr store::UnixTime kNow = 1'800'000'000;

class SessionsTest : public ::testing::Test {
 protected:
  Sessions open() { return *Sessions::open(*store_, 300); }
  static Result<bool> spend(Sessions& on, store::Store& store, const Session& session,
                            std::string_view token, store::UnixTime now,
                            Standing standing = Standing::kAffirmed) {
    COFFER_TRY(const auto writes, on.spend(session, token, standing, now));
    return store.commit(writes, store::Durable::kNo);
  }

  const testing::ScratchStore store_{{.clock = [] { return kNow; }}};
};

TEST_F(SessionsTest, AnotherServerOnTheSameStoreFinishesAHandshake) {
  const Sessions here = open();
  Sessions there = open();
  const Session begun = here.begin(protocol::Tee::kSnp, kNow);
  const auto found = there.unseal(here.seal(begun), kNow + 299);
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->nonce, begun.nonce);
  EXPECT_EQ(found->id, begun.id);
  EXPECT_EQ(found->tee, protocol::Tee::kSnp);
  EXPECT_EQ(begun.nonce.size(), 44U);
  EXPECT_NE(here.begin(protocol::Tee::kSnp, kNow).nonce, begun.nonce);
}

TEST_F(SessionsTest, RefusesWhatWasChangedExpiredOrAnothers) {
  const Sessions sessions = open();
  const std::string good = sessions.seal(sessions.begin(protocol::Tee::kSnp, kNow));
  ASSERT_TRUE(sessions.unseal(good, kNow));
  EXPECT_NE(sessions.unseal(good, kNow + 300).error().message().find("expired 0 s ago"),
            std::string::npos);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(sessions.unseal(bad, kNow)) << i;
  }
  for (const auto* bad :
       {"", ".", "..", "...", "snp", "snp.1.x.y", "0123456789abcdef0123456789abcdef"}) {
    EXPECT_EQ(sessions.unseal(bad, kNow).error().code(), Code::kUnauthenticated) << bad;
  }
  const testing::ScratchStore other;
  EXPECT_FALSE(Sessions::open(*other, 300)->unseal(good, kNow));
}

TEST_F(SessionsTest, AChallengeIsSpentOnce) {
  Sessions sessions = open();
  const Session session = sessions.begin(protocol::Tee::kSnp, kNow);
  EXPECT_FALSE(*sessions.token(session));
  EXPECT_TRUE(*spend(sessions, *store_, session, "token", kNow));
  EXPECT_FALSE(*spend(sessions, *store_, session, "another", kNow));
  EXPECT_FALSE(*spend(sessions, *store_, session, "another", kNow, Standing::kOther));
  EXPECT_EQ(**sessions.token(session), "token");
}

TEST_F(SessionsTest, ThereAreOnlySoManyAtATime) {
  store::UnixTime now = kNow;
  const testing::ScratchStore store({.clock = [&] { return now; }});
  Sessions sessions = *Sessions::open(*store, 300, 2);
  Sessions other = *Sessions::open(*store, 300, 2);
  const auto one_more = [&](Sessions& on) {
    return spend(on, *store, on.begin(protocol::Tee::kSnp, now), "token", now);
  };
  ASSERT_TRUE(one_more(sessions));
  ASSERT_TRUE(one_more(sessions));
  const auto third = one_more(sessions);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), Code::kUnavailable);
  EXPECT_NE(third.error().message().find("session_limit"), std::string::npos);
  now += 299;
  EXPECT_FALSE(one_more(sessions));
  now += 1;
  EXPECT_TRUE(one_more(sessions)) << "the first two have expired";
  EXPECT_TRUE(one_more(other));
  EXPECT_TRUE(one_more(sessions)) << "a server counts its own, and the others' when it is full";
  now += 1;
  EXPECT_FALSE(one_more(sessions));
}

// A stranger with a TPM in software is not to keep true guests out.
TEST_F(SessionsTest, HalfOfThemAreForGuestsThatAreAffirmed) {
  store::UnixTime now = kNow;
  const testing::ScratchStore store({.clock = [&] { return now; }});
  Sessions sessions = *Sessions::open(*store, 300, 4);
  const auto one_more = [&](Standing standing) {
    return spend(sessions, *store, sessions.begin(protocol::Tee::kTpm, now), "token", now,
                 standing);
  };
  ASSERT_TRUE(one_more(Standing::kOther));
  ASSERT_TRUE(one_more(Standing::kOther));
  const auto third = one_more(Standing::kOther);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), Code::kUnavailable);
  EXPECT_NE(third.error().message().find("does not affirm"), std::string::npos);
  ASSERT_TRUE(one_more(Standing::kAffirmed));
  ASSERT_TRUE(one_more(Standing::kAffirmed));
  EXPECT_FALSE(one_more(Standing::kAffirmed));
  now += 300;
  EXPECT_TRUE(one_more(Standing::kOther)) << "the first ones have expired";
}

}  // namespace
}  // namespace coffer::kbs
