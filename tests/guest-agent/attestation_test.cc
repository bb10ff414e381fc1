// The agent's side of attestation, with a script in coffer-attester's place.
#include "guest-agent/attestation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "base/fd.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

class AttestationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::temp_directory_path() / "coffer-attestation-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    fs::create_directories(folder_ / "dev");
    ASSERT_TRUE(write_file(folder_ / "dev/vda", "initdata"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  // `serve`: what the script does when it is to attest; fd 3 is the gate, whose other end the test
  // holds. $n says for which time.
  Attestation make(const std::string& serve) {
    const auto script = folder_ / "attester";
    check(write_file(script,
                     "#!/bin/sh\nif [ \"$1\" = initdata ]; then echo '{\"kbs\": \"https://k\"}'; "
                     "exit; fi\ncd \"$(dirname \"$0\")\"\necho >> count\nn=$(wc -l < count)\n" +
                         serve + "\n",
                     0755)
              .has_value(),
          "write the script");
    AttestationSettings settings;
    settings.attester = script;
    settings.emulator = folder_ / "none";
    settings.folder = folder_ / "initdata";
    settings.dev = folder_ / "dev";
    settings.required = true;
    return Attestation(std::move(settings),
                       Logger(LogSink::to_callback([this](auto line) { log_ += line; }),
                              LogFormat::kLogrus, LogLevel::kInfo));
  }
  void run(Task<void> task) {
    asio::io_context loop(1);
    asio::co_spawn(loop, std::move(task), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
    });
    loop.run();
  }

  fs::path folder_;
  std::string log_;
};

constexpr std::chrono::seconds kPatience{300};

// The agent as its attesters know it: the gates that they were given, one for each start.
struct Serving {
  explicit Serving(const asio::any_io_executor& executor) : scope(executor), gates(executor, 8) {}
  Task<void> start(Attestation& attestation) {
    attestation.serve_with([this](Fd gate) { gates.try_push(gate); }, &scope);
    const auto ready = co_await attestation.ready_for_containers();
    EXPECT_TRUE(ready) << ready.error().to_string();
  }

  Scope scope;
  Queue<Fd> gates;
};

TEST_F(AttestationTest, StartsTheAttesterAgainWhenItEnds) {
  auto made = make("echo attested\n[ $n = 1 ] || cat <&3");
  ASSERT_TRUE(made.prepare());
  run([](Attestation& attestation) -> Task<void> {
    Serving serving(co_await asio::this_coro::executor);
    co_await serving.start(attestation);
    const auto first = co_await serving.gates.pop(deadline_in(kPatience));
    const auto second = co_await serving.gates.pop(deadline_in(kPatience));
    EXPECT_TRUE(first && second);
    const auto again = co_await attestation.ready_for_containers();
    EXPECT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(serving.gates.size(), 0U) << "the second one lives: nobody made a third";
    co_await serving.scope.close();
  }(made));
  EXPECT_NE(log_.find("coffer-attester has ended, and is started again"), std::string::npos);
  EXPECT_EQ(read_file(folder_ / "count").value(), "\n\n");
}

TEST_F(AttestationTest, SaysWhyItCannotOpenASecretWhenTheAttesterDoesNotComeBack) {
  auto made = make("[ $n = 1 ] || { echo 'the broker is gone' >&2; exit 1; }\necho attested");
  ASSERT_TRUE(made.prepare());
  run([](Attestation& attestation) -> Task<void> {
    Serving serving(co_await asio::this_coro::executor);
    co_await serving.start(attestation);
    for (int i = 0; i < 2; ++i) {
      const auto gate = co_await serving.gates.pop(deadline_in(kPatience));
      EXPECT_TRUE(gate);
    }
    co_await serving.scope.join();
    const auto opened = co_await attestation.unseal("sealed.x");
    EXPECT_FALSE(opened);
    EXPECT_NE(opened.error().to_string().find("the broker is gone"), std::string::npos)
        << opened.error().to_string();
    const auto next = co_await attestation.ready_for_containers();
    EXPECT_FALSE(next) << "the next container tries again";
  }(made));
  EXPECT_EQ(read_file(folder_ / "count").value(), "\n\n\n");
}

TEST_F(AttestationTest, GivesUpOnAnAttesterThatEndsAgainAndAgain) {
  auto made = make("echo attested");
  ASSERT_TRUE(made.prepare());
  run([](Attestation& attestation) -> Task<void> {
    const auto executor = co_await asio::this_coro::executor;
    Scope scope(executor);
    attestation.serve_with({}, &scope);
    const auto ready = co_await attestation.ready_for_containers();
    EXPECT_TRUE(ready) << ready.error().to_string();
    co_await scope.join();
    const auto opened = co_await attestation.unseal("sealed.x");
    EXPECT_FALSE(opened);
    EXPECT_NE(opened.error().to_string().find("has ended"), std::string::npos);
  }(made));
  EXPECT_NE(log_.find("has ended too often"), std::string::npos);
  EXPECT_EQ(read_file(folder_ / "count").value(), std::string(17, '\n'));
}

}  // namespace
}  // namespace coffer::agent
