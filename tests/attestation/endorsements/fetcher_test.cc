// Against a server on 127.0.0.1 that counts: one fetch for many, back-off, what a restart keeps.

#include "attestation/endorsements/fetcher.h"

#include <condition_variable>
#include <latch>
#include <thread>

#include "tests/attestation/endorsements/fetcher_fixture.h"
#include "tests/attestation/endorsements/local_service.h"

namespace coffer::endorsements {
namespace {

using testing::LocalService;
using Answer = LocalService::Answer;

class FetcherTest : public testing::FetcherFixture {
 protected:
  // A document good for 1000 s, fresh for 100.
  Result<Bytes> get(const LocalService& service, const std::string& name = "a") {
    return fetcher_->get(
        service.url(), "test/" + name, 100, [&](const Get& http) -> Result<Document> {
          COFFER_TRY(const auto reply, get_document(http, service.url() + "/" + name));
          if (reply.body == "forged") {
            return fail(Code::kFailedPrecondition, "it is forged");
          }
          return Document{.bytes = to_bytes(reply.body), .good_until = now_ + 1000};
        });
  }
  static std::string text(const Result<Bytes>& got) {
    return got ? std::string(as_text(*got)) : got.error().to_string();
  }
};

TEST_F(FetcherTest, OneFetchServesAllWhoAskAtATime) {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  LocalService service([&](const std::string&) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open; });
    return Answer{.status = 200, .body = "document"};
  });
  restart({.waiting = 8});
  constexpr int kThreads = 8;
  std::latch started(kThreads);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      started.arrive_and_wait();
      if (text(get(service)) == "document") ++good;
    });
  }
  started.wait();
  {
    const std::lock_guard lock(mutex);
    open = true;
  }
  changed.notify_all();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, kThreads);
  EXPECT_EQ(service.count("/a"), 1U);
}

TEST_F(FetcherTest, OnlySoManyWait) {
  std::mutex mutex;
  std::condition_variable changed;
  bool asked = false;
  bool open = false;
  LocalService service([&](const std::string&) {
    std::unique_lock lock(mutex);
    asked = true;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    return Answer{.status = 200, .body = "document"};
  });
  restart({.waiting = 1});
  std::thread first([&] { EXPECT_EQ(text(get(service)), "document"); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return asked; });
  }
  for (const auto* name : {"a", "b"}) {
    const auto second = get(service, name);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kUnavailable);
    EXPECT_NE(second.error().message().find("try again later"), std::string::npos);
  }
  {
    const std::lock_guard lock(mutex);
    open = true;
  }
  changed.notify_all();
  first.join();
  EXPECT_EQ(text(get(service, "b")), "document");
}

TEST_F(FetcherTest, ARestartKeepsWhatWasFetched) {
  LocalService service([](const std::string&) { return Answer{.status = 200, .body = "kept"}; });
  EXPECT_EQ(text(get(service)), "kept");
  restart();
  EXPECT_EQ(text(get(service)), "kept");
  EXPECT_EQ(service.count("/a"), 1U);
  service.stop();
  now_ += 99;
  EXPECT_EQ(text(get(service)), "kept");
  now_ += 500;
  EXPECT_EQ(text(get(service)), "kept") << "not fresh, but good, and no newer one can be had";
  now_ += 401;
  EXPECT_EQ(get(service).error().code(), Code::kUnavailable) << "good no longer";
}

TEST_F(FetcherTest, WhatIsNotFreshIsFetchedAgain) {
  int number = 0;
  LocalService service(
      [&](const std::string&) { return Answer{.status = 200, .body = std::to_string(++number)}; });
  EXPECT_EQ(text(get(service)), "1");
  now_ += 100;
  EXPECT_EQ(text(get(service)), "2");
}

TEST_F(FetcherTest, WhatIsNotKnownIsNotAskedForAgainAndAgain) {
  LocalService service([](const std::string&) { return Answer{}; });
  const auto first = get(service);
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code(), Code::kNotFound);
  now_ += 29;
  const auto second = get(service);
  EXPECT_EQ(second.error().code(), Code::kNotFound);
  EXPECT_NE(second.error().to_string().find("not asked again for 1 s"), std::string::npos);
  EXPECT_EQ(service.count("/a"), 1U);
  EXPECT_FALSE(get(service, "b")) << "another document is asked for";
  EXPECT_EQ(service.count("/b"), 1U);
  now_ += 1;
  EXPECT_FALSE(get(service));
  EXPECT_EQ(service.count("/a"), 2U);
  now_ += 59;
  EXPECT_FALSE(get(service)) << "the second pause is twice as long";
  EXPECT_EQ(service.count("/a"), 2U);
  now_ += 1;
  EXPECT_FALSE(get(service));
  EXPECT_EQ(service.count("/a"), 3U);
}

TEST_F(FetcherTest, ASourceThatHasTooMuchToDoIsLeftAlone) {
  bool busy = true;
  LocalService service([&](const std::string&) {
    return busy ? Answer{.status = 429} : Answer{.status = 200, .body = "document"};
  });
  EXPECT_EQ(get(service).error().code(), Code::kUnavailable);
  EXPECT_EQ(get(service, "b").error().code(), Code::kUnavailable) << "no other document either";
  EXPECT_EQ(service.count("/"), 1U);
  busy = false;
  now_ += 30;
  EXPECT_EQ(text(get(service, "b")), "document");
  EXPECT_EQ(text(get(service)), "document");
}

// Strangers can have it answer so: for a document the pause grows to an hour.
TEST_F(FetcherTest, ASourceIsLeftAloneForFiveMinutesAtMost) {
  LocalService service([](const std::string&) { return Answer{.status = 429}; });
  for (std::size_t asked = 1; asked <= 10; ++asked) {
    EXPECT_FALSE(get(service));
    EXPECT_EQ(service.count("/a"), asked);
    now_ += 300;
  }
}

TEST_F(FetcherTest, WhatIsNotAuthenticIsNotKept) {
  std::string body = "forged";
  LocalService service([&](const std::string&) { return Answer{.status = 200, .body = body}; });
  EXPECT_NE(text(get(service)).find("forged"), std::string::npos);
  body = "good";
  now_ += 30;
  EXPECT_EQ(text(get(service)), "good");
}

TEST_F(FetcherTest, FetchesAreCountedByTheMinute) {
  LocalService service([](const std::string&) { return Answer{.status = 200, .body = "x"}; });
  restart({.per_minute = 2});
  EXPECT_TRUE(get(service, "a"));
  EXPECT_TRUE(get(service, "b"));
  EXPECT_EQ(get(service, "c").error().code(), Code::kUnavailable);
  EXPECT_TRUE(get(service, "a")) << "what is kept is no fetch";
  now_ += 60;
  EXPECT_TRUE(get(service, "c"));
}

TEST_F(FetcherTest, TheStoreDoesNotGrowWithoutEnd) {
  LocalService service([](const std::string&) { return Answer{.status = 200, .body = "x"}; });
  restart({.per_minute = 1000, .kept = 10});
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(get(service, std::to_string(i)));
  EXPECT_LE(*store_->count("endorsement"), 10U);
}

}  // namespace
}  // namespace coffer::endorsements
