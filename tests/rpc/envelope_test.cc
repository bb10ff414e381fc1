#include "rpc/ttrpc/envelope.h"

#include <gtest/gtest.h>

#include "rpc/protos/ttrpc.pb.h"

namespace coffer::rpc {
namespace {

namespace pb = coffer::ttrpc;

TEST(Request, IsReadAsProtobufWritesIt) {
  pb::Request message;
  message.set_service("grpc.AgentService");
  message.set_method("Check");
  message.set_payload(std::string("\x00\x01pay", 5));
  message.set_timeout_nano(-5);
  auto* pair = message.add_metadata();
  pair->set_key("k");
  pair->set_value("v1");
  pair = message.add_metadata();
  pair->set_key("k");
  pair->set_value("v2");
  auto request = parse_request(message.SerializeAsString());
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->service, "grpc.AgentService");
  EXPECT_EQ(request->method, "Check");
  EXPECT_EQ(request->payload.view(), message.payload());
  EXPECT_TRUE(request->has_payload);
  EXPECT_EQ(request->timeout_nanos, -5);
  EXPECT_EQ(request->metadata, (Metadata{{"k", "v1"}, {"k", "v2"}}));
  EXPECT_EQ(find_metadata(request->metadata, "k"), "v1");
  EXPECT_EQ(find_metadata(request->metadata, "x"), std::nullopt);
  EXPECT_EQ(std::move(request->payload).str(), message.payload());
}

TEST(Request, IsWrittenAsProtobufReadsIt) {
  const Metadata metadata = {{"a", "b"}, {"", ""}};
  const std::string payload(200, 'p');
  const std::string bytes =
      request_prefix(
          {.service = "s", .method = "m", .timeout_nanos = 1'000'000'007, .metadata = &metadata},
          payload.size()) +
      payload;
  pb::Request message;
  ASSERT_TRUE(message.ParseFromString(bytes));
  EXPECT_EQ(message.service(), "s");
  EXPECT_EQ(message.method(), "m");
  EXPECT_EQ(message.payload(), payload);
  EXPECT_EQ(message.timeout_nano(), 1'000'000'007);
  ASSERT_EQ(message.metadata_size(), 2);
  EXPECT_EQ(message.metadata(0).value(), "b");
}

TEST(Request, TellsAnAbsentPayloadFromAnEmptyOne) {
  EXPECT_FALSE(parse_request(request_prefix({.service = "s"}, std::nullopt))->has_payload);
  EXPECT_TRUE(parse_request(request_prefix({.service = "s"}, 0))->has_payload);
  EXPECT_FALSE(parse_request("")->has_payload);
}

// A short string lies within its object: its bytes move when it does.
TEST(Request, KeepsThePayloadOfAVeryShortFrame) {
  const std::string bytes = request_prefix({.service = "s"}, 2) + "ab";
  ASSERT_LT(bytes.size(), 15U);
  const auto request = parse_request(bytes);
  EXPECT_EQ(request->payload.view(), "ab");
}

TEST(Request, SkipsUnknownFieldsOfEveryKind) {
  const std::string unknown(
      "\x30\x01\x39"
      "12345678"
      "\x42\x01x\x4d"
      "1234",
      19);
  const auto request = parse_request(unknown + request_prefix({.service = "s"}, std::nullopt));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->service, "s");
}

TEST(Request, RefusesWhatIsNoMessage) {
  using namespace std::string_literals;
  const std::string bad[] = {
      "\x0a"s,  // length missing
      "\x0a\x05"
      "ab"s,                                            // shorter than its length
      "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,  // length of 2^64 - 1
      "\x80"s,                                          // unfinished tag
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s,  // varint too long
      "\x00\x01"s,                                      // field 0
      "\x0b"s,                                          // group
      "\x0e"s,                                          // wire type 6
      "\x31"
      "1234"s,                  // fixed64 cut short
      "\x0a\x01\xff"s,          // service is not UTF-8
      "\x2a\x03\x0a\x01\xff"s,  // metadata is not UTF-8
      "\x2a\x02\x0a\x05"s,      // metadata cut short
  };
  for (const auto& bytes : bad) {
    const auto request = parse_request(bytes);
    ASSERT_FALSE(request) << testing::PrintToString(bytes);
    EXPECT_EQ(request.error().code(), Code::kInvalidArgument);
  }
}

TEST(Request, HoldsItsMetadataLimitExactly) {
  Metadata metadata(kMaxMetadata, {"k", "v"});
  EXPECT_TRUE(parse_request(request_prefix({.metadata = &metadata}, std::nullopt)));
  metadata.emplace_back("k", "v");
  EXPECT_FALSE(parse_request(request_prefix({.metadata = &metadata}, std::nullopt)));
}

TEST(Response, IsReadAndWrittenAsProtobufDoes) {
  pb::Response message;
  ASSERT_TRUE(message.ParseFromString(response_prefix(3) + "abc"));
  EXPECT_TRUE(message.has_status());
  EXPECT_EQ(message.status().code(), 0);
  EXPECT_EQ(message.payload(), "abc");
  EXPECT_EQ(parse_response(message.SerializeAsString())->payload.view(), "abc");

  ASSERT_TRUE(message.ParseFromString(error_response(Code::kNotFound, "gone")));
  EXPECT_EQ(message.status().code(), 5);
  EXPECT_EQ(message.status().message(), "gone");
  message.mutable_status()->add_details()->set_type_url("x");
  const auto response = parse_response(message.SerializeAsString());
  ASSERT_TRUE(response);
  ASSERT_TRUE(response->error);
  EXPECT_EQ(response->error->code(), Code::kNotFound);
  EXPECT_EQ(response->error->message(), "gone");
}

TEST(Response, MapsForeignCodesToUnknown) {
  for (const int code : {-1, 17, 1000000}) {
    pb::Response message;
    message.mutable_status()->set_code(code);
    EXPECT_EQ(parse_response(message.SerializeAsString())->error->code(), Code::kUnknown) << code;
  }
}

TEST(Response, RefusesWhatIsNoMessage) {
  EXPECT_FALSE(parse_response("\x0a\x05"));
  EXPECT_FALSE(parse_response("\x0a\x02\x08\x80"));
  EXPECT_FALSE(parse_response("\x0a\x03\x12\x01\xff"));
}

}  // namespace
}  // namespace coffer::rpc
