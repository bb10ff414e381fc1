#include "attestation/service/event_log_claims.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/fd.h"

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

void put(Bytes& out, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void put_ucs2(Bytes& out, std::string_view ascii) {
  for (const char c : ascii) put(out, static_cast<std::uint8_t>(c), 2);
}

Json details(std::uint32_t type, const Bytes& data) {
  eventlog::Event event;
  event.type = type;
  event.data = data;
  return event_details(event);
}

Bytes loaded_image(std::string_view file) {
  Bytes path = {4, 3, 20, 0};  // a vendor's media
  path.resize(20, 0xab);
  Bytes node = {4, 4};
  put(node, 4 + 2 * (file.size() + 1), 2);
  put_ucs2(node, file);
  put(node, 0, 2);
  path.insert(path.end(), node.begin(), node.end());
  path.insert(path.end(), {0x7f, 0xff, 4, 0});
  Bytes out(24);
  put(out, path.size(), 8);
  out.insert(out.end(), path.begin(), path.end());
  return out;
}

Bytes tagged_event(std::uint32_t tag, std::string_view text) {
  Bytes out;
  put(out, tag, 4);
  put(out, text.size(), 4);
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

TEST(EventDetails, ALoadedImageHasTheFileThatTheDefaultPolicyLooksFor) {
  const Json got = details(eventlog::kEvEfiBootServicesApplication, loaded_image("kernel"));
  ASSERT_EQ(got["device_paths"].size(), 2U);
  EXPECT_EQ(got["device_paths"][1], "File(kernel)");
  EXPECT_EQ(got["device_paths"][0], "Path(4,3," + to_hex(Bytes(16, 0xab)) + ")");
}

TEST(EventDetails, ATextIsAsMuchOfTheDataAsIsUtf8) {
  const auto text = [](std::string_view data) {
    return details(eventlog::kEvAction, to_bytes(data))["string"];
  };
  EXPECT_EQ(text("ab\xff"
                 "cd")
                .get<std::string>(),
            "ab");
  EXPECT_TRUE(text("\xff"
                   "ab")
                  .is_null());
  EXPECT_TRUE(text(std::string_view("\0\0", 2)).is_null());
  // Of a character that does not fit its first part is not there either.
  EXPECT_EQ(text(std::string(4095, 'a') + "\xc3\xa9").get<std::string>(), std::string(4095, 'a'));
}

TEST(EventDetails, ATaggedEventHasItsText) {
  using namespace std::string_view_literals;
  EXPECT_EQ(details(eventlog::kEvEventTag,
                    tagged_event(0x8f3b22ed, "LOADED_IMAGE::LoadOptions\0"sv))["string"],
            "LOADED_IMAGE::LoadOptions");
  const Json aael = details(eventlog::kEvEventTag, tagged_event(0x4141454c, "dom op a b c"));
  EXPECT_EQ(aael["data"], (Json{{"domain", "dom"}, {"operation", "op"}, {"content", "a b c"}}));
}

TEST(EventDetails, AVariableHasItsName) {
  Bytes data(16, 1);
  put(data, 10, 8);
  put(data, 3, 8);
  put_ucs2(data, "SecureBoot");
  data.insert(data.end(), {1, 2, 3});
  EXPECT_EQ(details(eventlog::kEvEfiVariableDriverConfig, data),
            (Json{{"unicode_name", "SecureBoot"},
                  {"unicode_name_length", 10},
                  {"variable_data_length", 3}}));
}

TEST(EventDetails, WhatLiesAboutItsLengthsHasNone) {
  for (const auto type : {eventlog::kEvEfiBootServicesApplication, eventlog::kEvEventTag,
                          eventlog::kEvEfiVariableBoot}) {
    for (const Bytes& whole : {loaded_image("kernel"), tagged_event(1, "text")}) {
      for (std::size_t size = 0; size < whole.size(); ++size) {
        (void)details(type, Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
      }
    }
  }
  Bytes image = loaded_image("kernel");
  image[24] ^= 0x40U;  // the path's length
  EXPECT_EQ(details(eventlog::kEvEfiBootServicesApplication, image), Json::object());
  EXPECT_EQ(details(eventlog::kEvEventTag, Bytes(8, 0xff)), Json::object());
}

TEST(EventLogClaims, ReadARealLogInItsOrder) {
  const std::string file = COFFER_VECTORS "/tdx/eventlogs/ccel_data_grub.bin";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no vectors";
  const auto bytes = read_file(file);
  const auto claims = event_log_claims(as_bytes(*bytes));
  ASSERT_TRUE(claims) << claims.error().to_string();
  const auto log = eventlog::parse_event_log(as_bytes(*bytes));
  ASSERT_EQ(claims->size(), log->events.size());
  std::set<std::string> seen;
  for (std::size_t i = 0; i < claims->size(); ++i) {
    const Json& entry = (*claims)[i];
    seen.insert(entry["type_name"].get<std::string>());
    EXPECT_EQ(entry["index"], log->events[i].index);
    EXPECT_EQ(entry["digests"][0]["digest"].get<std::string>().size(), 96U) << i;
  }
  EXPECT_TRUE(seen.contains("EV_EFI_BOOT_SERVICES_APPLICATION"));
  EXPECT_TRUE(seen.contains("EV_IPL"));
  EXPECT_LT(claims->dump().size(), 20000U) << "a token has to fit into a header";
  EXPECT_FALSE(event_log_claims(to_bytes("no log")));
}

}  // namespace
}  // namespace coffer::appraisal
