// Logs in JSON, as dstack's tools write them.
#include "tee/eventlog/json_log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coffer::eventlog {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kZeros("\0\0\0\0", 4);

std::string sha384_hex(std::string_view text) {
  return to_hex(hash(Alg::kSha384, as_bytes(text)).value());
}

json separator() {
  return {{"imr", 0},
          {"event_type", 4},
          {"digest", sha384_hex(kZeros)},
          {"event", ""},
          {"event_payload", "00000000"}};
}

json application() {
  return {{"imr", 3},
          {"event_type", kEvDstack},
          {"digest", sha384_hex("\x01" + std::string(2, '\0') + "\x08:app-id:\xab")},
          {"event", "app-id"},
          {"event_payload", "ab"}};
}

Result<ReadLog> read(const json& document) { return parse_json_log(as_bytes(document.dump())); }

std::vector<std::string> anomalies_of(const json& events) {
  return anomalies(read(events).value().log, Alg::kSha384);
}

TEST(JsonLog, EventsOfAnRtmrReplayIntoIt) {
  const ReadLog read_log = read(json::array({separator(), application()})).value();
  const EventLog& log = read_log.log;
  EXPECT_EQ(log.algs, std::vector{Alg::kSha384});
  const auto registers = replay(log, Alg::kSha384).value();
  ASSERT_EQ(registers.size(), 2U);
  const auto extended = [](const json& event) {
    return extend(Alg::kSha384, Bytes(48), from_hex(event["digest"].get<std::string>()).value())
        .value();
  };
  EXPECT_EQ(registers.at(1), extended(separator()));
  EXPECT_EQ(registers.at(4), extended(application()));
  ASSERT_TRUE(read_log.application.contains(1));
  EXPECT_EQ(read_log.application.at(1).name, "app-id");
  EXPECT_EQ(read_log.application.at(1).payload, Bytes{0xab});
  EXPECT_THAT(anomalies(log, Alg::kSha384), IsEmpty());
}

TEST(JsonLog, IsFoundInEveryDocumentThatHoldsOne) {
  const json events = json::array({separator()});
  json renamed = separator();
  renamed["rtmr"] = renamed["imr"];
  renamed["payload"] = renamed["event_payload"];
  renamed["event_type"] = "0x4";
  renamed.erase("imr");
  renamed.erase("event_payload");
  const auto want = replay(read(events).value().log, Alg::kSha384).value();
  for (const json& document :
       {json{{"event_log", events}}, json{{"event_log", events.dump()}, {"quote", "04"}},
        json{{"events", events}}, json{{"events", json::array({renamed})}}}) {
    const auto log = read(document);
    ASSERT_TRUE(log) << log.error().to_string();
    EXPECT_EQ(replay(log->log, Alg::kSha384).value(), want) << document;
  }
}

TEST(JsonLog, DigestsOfApplicationEventsMayBeLeftOut) {
  json bare = application();
  bare.erase("digest");
  const ReadLog log = read(json::array({bare})).value();
  EXPECT_EQ(to_hex(log.log.events[0].digest(Alg::kSha384)),
            application()["digest"].get<std::string>());
}

TEST(JsonLog, PayloadsOfBootEventsMayBeLeftOut) {
  json variable = separator();
  variable["event_type"] = kEvEfiVariableDriverConfig;
  variable["event_payload"] = "";
  json good = separator();
  good.erase("event_payload");
  EXPECT_THAT(anomalies_of(json::array({variable, good})), IsEmpty());
  const ReadLog log = read(json::array({variable})).value();
  EXPECT_EQ(digest_matches_data(log.log.events[0], Alg::kSha384), std::nullopt);
  // Not of a separator that is none.
  good["digest"] = sha384_hex("\1");
  EXPECT_THAT(anomalies_of(json::array({good})),
              ::testing::ElementsAre(HasSubstr("separator with data")));
}

TEST(JsonLog, WordsThatNoDigestBearsOutAreNamed) {
  for (const auto& [member, value] :
       std::vector<std::pair<const char*, json>>{{"event", "app-ie"}, {"event_payload", "ac"}}) {
    json event = application();
    event[member] = value;
    EXPECT_THAT(anomalies_of(json::array({event})),
                ::testing::ElementsAre(HasSubstr("its digest is not that of its data")));
  }
  json event = separator();
  event["event_payload"] = "00000001";
  EXPECT_EQ(anomalies_of(json::array({event})).size(), 2U);
}

TEST(JsonLog, RefusesWhatIsNoLog) {
  const auto with = [](json event, const char* member, const json& value) {
    event[member] = value;
    return json::array({separator(), event});
  };
  struct Case {
    json document;
    const char* error;
  };
  const std::vector<Case> cases = {
      {json::object(), "event_log: is missing"},
      {json{{"event_log", 1}}, "want an array"},
      {json{{"event_log", "{"}}, "parse event log"},
      {json{{"event_log", json("[]").dump()}}, "want an array"},
      {json::array({1}), "event 0: event: is not an object"},
      {with(separator(), "imr", 4), "event 1: imr: want a number from 0 to 3"},
      {with(separator(), "imr", -1), "imr: want a number"},
      {with(separator(), "imr", "0"), "imr: want a number"},
      {with(separator(), "event_type", nullptr), "event_type: is no number"},
      {with(separator(), "event_type", "4"), "event_type: is no number"},
      {with(separator(), "event_type", "0x4g"), "event_type: is no number"},
      {with(separator(), "event_type", "0x100000000"), "more than 32 bits"},
      {with(separator(), "digest", ""), "digest: want 96 hex digits"},
      {with(separator(), "digest", "00"), "digest: want 96 hex digits"},
      {with(separator(), "digest", 1), "digest: is not a string"},
      {with(separator(), "event_payload", "0"), "event_payload"},
      {with(application(), "event", 1), "event: is not a string"},
      {with(application(), "version", "v2"), "another version"},
  };
  for (const auto& test : cases) {
    const auto log = read(test.document);
    ASSERT_FALSE(log) << test.error;
    EXPECT_THAT(log.error().to_string(), HasSubstr(test.error));
  }
  EXPECT_FALSE(parse_json_log({}));
  json no_type = separator();
  no_type.erase("event_type");
  EXPECT_FALSE(read(json::array({no_type})));
}

TEST(JsonLog, HoldsAsManyEventsAsAnyLogAndNotOneMore) {
  json bare = application();
  bare.erase("digest");
  json events = json::array();
  for (std::size_t i = 0; i < 65536; ++i) events.push_back(bare);
  EXPECT_EQ(read(events).value().log.events.size(), 65536U);
  events.push_back(bare);
  EXPECT_EQ(read(events).error().code(), Code::kResourceExhausted);
}

TEST(JsonLog, EitherFormIsReadByItsFirstByte) {
  EXPECT_TRUE(looks_like_json(as_bytes("[")));
  EXPECT_TRUE(looks_like_json(as_bytes("{")));
  EXPECT_FALSE(looks_like_json({}));
  EXPECT_EQ(read_event_log(as_bytes(json::array({separator()}).dump()))->log.events.size(), 1U);
  const Bytes none(8);
  EXPECT_THAT(read_event_log(none)->log.events, IsEmpty());
}

}  // namespace
}  // namespace coffer::eventlog
