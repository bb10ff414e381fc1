#include "base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/utf8.h"

namespace coffer {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class LogTest : public testing::Test {
 protected:
  Logger logger(LogFormat format, LogLevel level = LogLevel::kInfo) {
    return {LogSink::to_callback([this](std::string_view line) { lines_.emplace_back(line); }),
            format, level};
  }
  std::vector<std::string> lines_;
};

TEST_F(LogTest, WritesLogrusText) {
  const auto log = logger(LogFormat::kLogrus).with("name", "containerd-shim-v2").with("pid", "7");
  log.warn("started \"it\"", {{"container", "a b"}, {"n", 3}, {"ok", true}, {"empty", ""}});
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_THAT(
      lines_[0],
      MatchesRegex("time=\"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{9}Z\" level=warning "
                   "msg=\"started .\"it.\"\" name=containerd-shim-v2 pid=7 "
                   "container=\"a b\" n=3 ok=true empty=\"\"\n"));
}

TEST_F(LogTest, WritesJsonLinesThatParse) {
  const auto log = logger(LogFormat::kJson).with("source", "agent");
  log.error("bad\nline\x01 \xff", {{"error", Error(Code::kNotFound, "find 'x'")}});
  const auto json = nlohmann::json::parse(lines_.at(0));
  EXPECT_EQ(json["msg"], "bad\nline\x01 \xEF\xBF\xBD");
  EXPECT_EQ(json["level"], "ERRO");
  EXPECT_EQ(json["source"], "agent");
  EXPECT_EQ(json["error"], "find 'x'");
  EXPECT_EQ(std::count(lines_[0].begin(), lines_[0].end(), '\n'), 1);
}

TEST_F(LogTest, LeavesOutWhatIsBelowItsLevel) {
  const auto log = logger(LogFormat::kLogrus, LogLevel::kWarn);
  log.info("no");
  log.with_level(LogLevel::kDebug).debug("yes");
  Logger().error("nowhere");
  EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(LogTest, ADerivedFieldReplacesTheSameKey) {
  const auto log = logger(LogFormat::kLogrus).with("k", "1");
  log.with("k", "2").info("m");
  EXPECT_THAT(lines_.at(0), HasSubstr(" k=2"));
  EXPECT_THAT(lines_.at(0), testing::Not(HasSubstr(" k=1")));
}

TEST(LogSink, DropsCountsAndTellsWhenTheReaderIsSlow) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reader(ends[0]);
  const auto sink = LogSink::to_fd(Fd(ends[1]));
  const Logger log(sink, LogFormat::kLogrus);
  const std::string big(1000, 'x');
  while (sink->dropped() < 3) log.info(big);
  std::string text;
  std::array<char, 65536> buffer{};
  const auto drain = [&] {
    ssize_t count = 0;
    while ((count = ::read(reader.get(), buffer.data(), buffer.size())) > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
  };
  drain();
  log.info("after");
  log.info("last");
  drain();
  EXPECT_THAT(text, HasSubstr("msg=\"after\" dropped_lines=3\n"));
  EXPECT_THAT(text, HasSubstr("msg=\"last\"\n"));
}

TEST(LogSink, OutlivesItsReader) {
  ignore_sigpipe();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ::close(ends[0]);
  const auto pipe = LogSink::to_fd(Fd(ends[1]));
  EXPECT_FALSE(pipe->write("x\n"));
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  ::close(ends[0]);
  const auto socket = LogSink::to_fd(Fd(ends[1]));
  EXPECT_FALSE(socket->write("x\n"));
  EXPECT_FALSE(LogSink::to_fd(Fd())->write("x\n"));
}

TEST(LogLevel, ParsesItsNames) {
  EXPECT_EQ(parse_log_level("WARNING"), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("loud").error().code(), Code::kInvalidArgument);
}

TEST(Utf8, AcceptsWhatRfc3629Does) {
  for (const char* good : {"", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xF0\x90\x80\x80",
                           "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC1\x80", "\xE0\x9F\x80", "\xED\xA0\x80", "\xF0\x8F\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "a\xFF"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace coffer
