// One contract, the same tests on both stores.

#include "attestation/store/store.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "base/fd.h"
#include "tests/attestation/store/postgres_cluster.h"

namespace coffer::store {
namespace {

namespace fs = std::filesystem;

std::string temp_folder() {
  std::string folder = (fs::temp_directory_path() / "coffer-store-XXXXXX").string();
  check(::mkdtemp(folder.data()) != nullptr, "no temporary folder");
  return folder;
}

// One cluster for all tests; a database a test.
testing::PostgresCluster* cluster(std::string& why) {
  static std::string reason;
  static std::optional<testing::PostgresCluster> instance = testing::PostgresCluster::start(reason);
  why = reason;
  return instance ? &*instance : nullptr;
}

class StoreTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    if (GetParam() == "sqlite") {
      folder_ = temp_folder();
      where_ = "sqlite:" + folder_ + "/store.db";
    } else {
      std::string why;
      auto* postgres = cluster(why);
      if (postgres == nullptr) GTEST_SKIP() << why;
      where_ = postgres->new_database();
      ASSERT_FALSE(where_.empty());
    }
    store_ = open();
  }
  void TearDown() override {
    store_.reset();
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  std::unique_ptr<Store> open() {
    auto store = open_store(where_, {.connections = 4, .clock = [this] { return now_.load(); }});
    EXPECT_TRUE(store) << store.error().to_string();
    return store ? std::move(*store) : nullptr;
  }
  std::string get(std::string_view key) {
    auto entry = store_->get("test", key);
    EXPECT_TRUE(entry) << entry.error().to_string();
    if (!entry || !*entry) return "(absent)";
    return std::string(as_text((*entry)->value));
  }
  bool commit(std::vector<Write> writes) {
    auto done = store_->commit(writes, Durable::kYes);
    EXPECT_TRUE(done) << done.error().to_string();
    return done && *done;
  }
  // Both ways of asking agree.
  Version version(std::string_view key) {
    const auto entry = store_->get("test", key);
    const auto alone = store_->version("test", key);
    EXPECT_TRUE(entry && alone);
    if (!entry || !alone) return 0;
    EXPECT_EQ(entry->has_value(), alone->has_value());
    if (!*entry || !*alone) return 0;
    EXPECT_EQ((*entry)->version, **alone);
    return **alone;
  }

  std::string folder_, where_;
  std::atomic<UnixTime> now_ = 1000;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreTest, ::testing::Values("sqlite", "postgres"),
                         [](const auto& store) { return std::string(store.param); });

TEST_P(StoreTest, KeepsWhatWasPutAlsoAfterAReopen) {
  ASSERT_TRUE(store_->put("test", "a/b.c:d%20", to_bytes("value")));
  ASSERT_TRUE(store_->put("test", "empty", {}));
  const Bytes binary = {0, 1, 0xff, '\'', '"', 0};
  ASSERT_TRUE(store_->put("test", "binary", binary));
  store_ = open();
  EXPECT_EQ(get("a/b.c:d%20"), "value");
  EXPECT_EQ(get("empty"), "");
  EXPECT_EQ(get("binary"), as_text(binary));
  EXPECT_EQ(get("none"), "(absent)");
  EXPECT_FALSE(*store_->get("other", "empty"));
}

TEST_P(StoreTest, EveryWriteHasANewVersion) {
  ASSERT_TRUE(store_->put("test", "k", to_bytes("1")));
  const Version first = version("k");
  EXPECT_NE(first, 0);
  ASSERT_TRUE(store_->put("test", "k", to_bytes("1")));
  EXPECT_NE(version("k"), first);
}

TEST_P(StoreTest, ConditionsDecide) {
  EXPECT_TRUE(*store_->insert("test", "k", to_bytes("1")));
  EXPECT_FALSE(*store_->insert("test", "k", to_bytes("2")));
  EXPECT_EQ(get("k"), "1");
  const Version old = version("k");
  Write update{.space = "test", .key = "k", .value = to_bytes("3")};
  update.condition = Write::If::kVersion;
  update.version = old;
  EXPECT_TRUE(commit({update}));
  EXPECT_FALSE(commit({update})) << "the version has changed";
  EXPECT_EQ(get("k"), "3");
  Write removal = update;
  removal.value.reset();
  EXPECT_FALSE(commit({removal}));
  removal.version = version("k");
  EXPECT_TRUE(commit({removal}));
  EXPECT_EQ(get("k"), "(absent)");
  EXPECT_FALSE(*store_->remove("test", "k"));
}

TEST_P(StoreTest, ABatchIsAllOrNothing) {
  ASSERT_TRUE(store_->put("test", "there", to_bytes("old")));
  Write first{.space = "test", .key = "new", .value = to_bytes("x")};
  Write second{.space = "test", .key = "there", .value = to_bytes("x")};
  second.condition = Write::If::kAbsent;
  EXPECT_FALSE(commit({first, second}));
  EXPECT_EQ(get("new"), "(absent)");
  EXPECT_EQ(get("there"), "old");
  second.condition = Write::If::kAlways;
  EXPECT_TRUE(commit({first, second}));
  EXPECT_EQ(get("new"), "x");
  EXPECT_EQ(get("there"), "x");
}

TEST_P(StoreTest, WhatHasExpiredIsAbsent) {
  EXPECT_TRUE(*store_->insert("test", "k", to_bytes("1"), 1010));
  now_ = 1009;
  EXPECT_EQ(get("k"), "1");
  EXPECT_FALSE(*store_->insert("test", "k", to_bytes("2"), 1010));
  now_ = 1010;
  EXPECT_EQ(get("k"), "(absent)");
  EXPECT_EQ(version("k"), 0);
  EXPECT_TRUE(store_->list("test", "", "", 10)->empty());
  EXPECT_TRUE(*store_->insert("test", "k", to_bytes("3"), 2000));
  EXPECT_EQ(get("k"), "3");
  EXPECT_TRUE(*store_->insert("test", "other", to_bytes("4"), 1500));
  now_ = 1600;
  EXPECT_EQ(*store_->purge(), 1U);
  EXPECT_EQ(get("k"), "3");
}

TEST_P(StoreTest, TrimsTheLastKeysOfOneNamespace) {
  for (const auto* key : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(store_->put("test", key, to_bytes("x")));
    ASSERT_TRUE(store_->put("other", key, to_bytes("x")));
  }
  EXPECT_EQ(*store_->count("test"), 4U);
  EXPECT_EQ(*store_->trim("test", 4), 0U);
  EXPECT_EQ(*store_->trim("test", 3), 1U);
  EXPECT_EQ(get("c"), "x");
  EXPECT_EQ(get("d"), "(absent)");
  EXPECT_EQ(*store_->count("test"), 3U);
  EXPECT_EQ(*store_->trim("test", 0), 3U);
  EXPECT_EQ(*store_->count("test"), 0U);
  EXPECT_EQ(*store_->trim("test", 0), 0U);
  EXPECT_EQ(*store_->count("other"), 4U) << "another namespace stays";
  EXPECT_FALSE(store_->trim("Bad", 0));
}

TEST_P(StoreTest, ListsByPrefixInOrderAndInPages) {
  for (const auto* key : {"b/1", "a/2", "a/10", "a/1", "a", "B"}) {
    ASSERT_TRUE(store_->put("test", key, to_bytes("xyz")));
  }
  const auto keys = [&](std::string_view prefix, std::string_view after, std::size_t limit) {
    std::string text;
    const auto listed = store_->list("test", prefix, after, limit);
    for (const auto& item : *listed) text += item.key + " ";
    return text;
  };
  EXPECT_EQ(keys("", "", 100), "B a a/1 a/10 a/2 b/1 ");
  EXPECT_EQ(keys("a/", "", 100), "a/1 a/10 a/2 ");
  EXPECT_EQ(keys("a/", "a/1", 1), "a/10 ");
  EXPECT_EQ(keys("c", "", 100), "");
  EXPECT_EQ(store_->list("test", "a/1", "", 1)->front().size, 3U);
}

TEST_P(StoreTest, RefusesForeignNamesAndOversize) {
  for (const auto* key : {"", "a b", "\x01", "a\\b", "\xc3\xa4"}) {
    EXPECT_EQ(store_->get("test", key).error().code(), Code::kInvalidArgument) << key;
    EXPECT_FALSE(store_->put("test", key, {})) << key;
  }
  EXPECT_FALSE(store_->get("Test", "k"));
  EXPECT_TRUE(store_->get("test", std::string(kMaxKey, 'k')));
  EXPECT_FALSE(store_->get("test", std::string(kMaxKey + 1, 'k')));
  EXPECT_TRUE(store_->put("test", "k", Bytes(kMaxValue)));
  EXPECT_EQ(store_->put("test", "k", Bytes(kMaxValue + 1)).error().code(),
            Code::kResourceExhausted);
  Write removal{.space = "test", .key = "k"};
  removal.condition = Write::If::kAbsent;
  EXPECT_FALSE(store_->commit({&removal, 1}, Durable::kYes));
}

TEST_P(StoreTest, OfManyInsertsOfOneKeyOneWins) {
  auto other = open();
  std::atomic<int> won = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      Store& mine = i % 2 == 0 ? *store_ : *other;
      for (int k = 0; k < 20; ++k) {
        auto inserted = mine.insert("test", "key" + std::to_string(k), {}, 5000, Durable::kNo);
        ASSERT_TRUE(inserted) << inserted.error().to_string();
        if (*inserted) ++won;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(won, 20);
}

TEST_P(StoreTest, ConcurrentUpdatesByVersionLoseNone) {
  ASSERT_TRUE(store_->put("test", "counter", to_bytes("0")));
  constexpr int kThreads = 4;
  constexpr int kEach = 15;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int done = 0; done < kEach;) {
        auto entry = store_->get("test", "counter");
        ASSERT_TRUE(entry && *entry);
        const int count = std::stoi(std::string(as_text((*entry)->value)));
        Write write{
            .space = "test", .key = "counter", .value = to_bytes(std::to_string(count + 1))};
        write.condition = Write::If::kVersion;
        write.version = (*entry)->version;
        auto written = store_->commit({&write, 1}, Durable::kNo);
        ASSERT_TRUE(written) << written.error().to_string();
        if (*written) ++done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(get("counter"), std::to_string(kThreads * kEach));
}

// What a writer told through the pipe before its kill -9 must be there.
TEST_P(StoreTest, AnAcknowledgedWriteSurvivesKill9) {
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  store_.reset();  // a fork must not share a connection
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(pipe_fds[0]);
    auto store = open_store(where_, {.connections = 1});
    for (std::uint32_t i = 0; store; ++i) {
      const auto durable = i % 2 == 0 ? Durable::kYes : Durable::kNo;
      const auto done =
          (*store)->insert("test", std::to_string(i), to_bytes("x"), std::nullopt, durable);
      if (!done || !*done || ::write(pipe_fds[1], &i, sizeof i) != sizeof i) break;
    }
    ::_exit(1);
  }
  ::close(pipe_fds[1]);
  std::set<std::uint32_t> told;
  std::uint32_t number = 0;
  while (::read(pipe_fds[0], &number, sizeof number) == sizeof number) {
    told.insert(number);
    if (told.size() == 50) ::kill(child, SIGKILL);
  }
  ::close(pipe_fds[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_GE(told.size(), 50U);
  store_ = open();
  for (const auto i : told) EXPECT_EQ(get(std::to_string(i)), "x") << i;
}

TEST(OpenStore, RefusesWhatNamesNoStore) {
  const auto store = open_store("/some/path");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), Code::kInvalidArgument);
  const auto unreachable = open_store("postgresql://nobody@/x?host=/nonexistent");
  ASSERT_FALSE(unreachable);
  EXPECT_EQ(unreachable.error().code(), Code::kUnavailable);
  const auto missing = open_store("sqlite:/nonexistent/folder/x.db");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().to_string().find("/nonexistent/folder/x.db"), std::string::npos);
}

TEST(OpenStore, ADatabaseThatNeitherAnswersNorRefusesIsUnavailable) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto opened =
      open_store("postgresql://u@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/x");
  ::close(listener);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Code::kUnavailable) << opened.error().to_string();
}

TEST(OpenStore, ASqliteStoreIsPrivate) {
  const std::string folder = temp_folder();
  auto store = open_store("sqlite:" + folder + "/s.db");
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->put("test", "k", to_bytes("secret")));
  for (const auto* name : {"/s.db", "/s.db-wal"}) {
    struct stat info = {};
    ASSERT_EQ(::stat((folder + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0077U, 0U) << name;
  }
  store->reset();
  fs::remove_all(folder);
}

// What is made private afterwards was open to all for a moment: nobody changes the mode.
TEST(OpenStore, ASqliteStoreIsPrivateFromItsFirstMoment) {
  const std::string folder = temp_folder();
  const Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ASSERT_GE(::inotify_add_watch(watch.get(), folder.c_str(), IN_ATTRIB | IN_CREATE), 0);
  const mode_t before = ::umask(0);
  auto store = open_store("sqlite:" + folder + "/s.db");
  EXPECT_TRUE(store && (*store)->put("test", "k", to_bytes("secret")));
  ::umask(before);
  alignas(inotify_event) std::array<char, 65536> buffer{};
  const ssize_t size = ::read(watch.get(), buffer.data(), buffer.size());
  std::set<std::string> made;
  for (ssize_t at = 0; at < size;) {
    inotify_event event{};
    std::memcpy(&event, buffer.data() + at, sizeof event);
    const std::string name = buffer.data() + at + sizeof event;
    if ((event.mask & IN_CREATE) != 0) made.insert(name);
    EXPECT_FALSE((event.mask & IN_ATTRIB) != 0 && name == "s.db") << "its mode was changed";
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
  for (const std::string name : {"s.db", "s.db-shm", "s.db-wal"}) {
    EXPECT_TRUE(made.contains(name)) << name;
    struct stat info = {};
    ASSERT_EQ(::stat((folder + "/" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }
  store->reset();
  fs::remove_all(folder);
}

TEST(OpenStore, WhatAnEarlierVersionLeftIsMadePrivate) {
  const std::string folder = temp_folder();
  for (const auto* name : {"/s.db", "/s.db-wal", "/s.db-shm"}) {
    const Fd file(::open((folder + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(::fchmod(file.get(), 0644), 0);
  }
  auto store = open_store("sqlite:" + folder + "/s.db");
  ASSERT_TRUE(store) << store.error().to_string();
  for (const auto* name : {"/s.db", "/s.db-wal", "/s.db-shm"}) {
    struct stat info = {};
    ASSERT_EQ(::stat((folder + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << name;
  }
  store->reset();
  fs::remove_all(folder);
}

// What a store of another program's hands has: one value of SQL.
std::string ask(const std::string& path, const char* text) {
  sqlite3* db = nullptr;
  std::string answer;
  const auto keep = [](void* to, int, char** values, char**) {
    *static_cast<std::string*>(to) = values[0] == nullptr ? "" : values[0];
    return 0;
  };
  EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, text, keep, &answer, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
  return answer;
}

TEST(OpenStore, ASqliteStoreOfTheFirstFormIsTakenOverWithAllThatItHas) {
  const std::string folder = temp_folder();
  const std::string path = folder + "/s.db";
  ask(path,
      "CREATE TABLE coffer_kv (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
      " version INTEGER NOT NULL, expires INTEGER, PRIMARY KEY (space, key)) WITHOUT ROWID;"
      "CREATE INDEX coffer_kv_expires ON coffer_kv (expires) WHERE expires IS NOT NULL;"
      "INSERT INTO coffer_kv VALUES ('test', 'b', x'0001', 7, NULL), ('test', 'a', x'', 8, 1010),"
      " ('other', 'a', x'ff', 9, NULL);");
  const StoreOptions options{.clock = [] { return UnixTime{1000}; }};
  for (int i = 0; i < 2; ++i) {
    auto store = open_store("sqlite:" + path, options);
    ASSERT_TRUE(store) << store.error().to_string();
    const auto entry = (*store)->get("test", "b");
    ASSERT_TRUE(entry && *entry);
    EXPECT_EQ((*entry)->value, (Bytes{0, 1}));
    EXPECT_EQ((*entry)->version, 7);
    EXPECT_EQ((*store)->list("test", "", "", 10)->size(), 2U);
    EXPECT_EQ(*(*store)->count("other"), 1U);
    EXPECT_FALSE(*(*store)->insert("test", "a", to_bytes("x"))) << "it has not expired yet";
  }
  EXPECT_EQ(ask(path, "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'"), "0");
  EXPECT_EQ(ask(path, "SELECT count(*) FROM sqlite_master WHERE type = 'table'"), "1");
  EXPECT_EQ(ask(path, "SELECT count(*) FROM sqlite_master WHERE name = 'coffer_kv_expires'"), "1");
  ask(path, "PRAGMA user_version = 2");
  const auto newer = open_store("sqlite:" + path, options);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), Code::kFailedPrecondition);
  fs::remove_all(folder);
}

TEST(OpenStore, DescribesWithoutPasswords) {
  std::string why;
  auto* postgres = cluster(why);
  if (postgres == nullptr) GTEST_SKIP() << why;
  auto store = open_store(postgres->new_database() + "&password=hunter2");
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_NE((*store)->describe().find("dbname=db"), std::string::npos);
  EXPECT_EQ((*store)->describe().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace coffer::store
