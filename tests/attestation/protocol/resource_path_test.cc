#include "attestation/protocol/resource_path.h"

#include <gtest/gtest.h>

namespace coffer::protocol {
namespace {

TEST(ResourcePath, HasThreeSegments) {
  const auto path = parse_resource_path("default/key-1/v1.2_x");
  ASSERT_TRUE(path) << path.error().to_string();
  EXPECT_EQ(path->repository, "default");
  EXPECT_EQ(path->type, "key-1");
  EXPECT_EQ(path->tag, "v1.2_x");
  EXPECT_EQ(path->to_string(), "default/key-1/v1.2_x");
  EXPECT_TRUE(parse_resource_path("-/_/0"));
  EXPECT_TRUE(parse_resource_path("a/b/" + std::string(255, 'c')));
}

TEST(ResourcePath, RefusesWhatCouldLeaveItsFolder) {
  for (const std::string path :
       {"", "a", "a/b", "a/b/c/d", "/a/b/c", "a/b/c/", "a//c", "../b/c", "a/./c", "a/.b/c",
        "a/b/%2e", "a/b/c?x", "a/b/c d", "a\\b/c/d", "a/b/\xc3\xa4"}) {
    EXPECT_FALSE(parse_resource_path(path)) << path;
  }
  EXPECT_FALSE(parse_resource_path("a/b/" + std::string(256, 'c')));
  EXPECT_FALSE(parse_resource_path(std::string("a/b/c\0", 6)));
}

TEST(ResourceUri, NamesAPluginAndAPath) {
  const auto plain = parse_resource_uri("kbs:///default/key/1");
  ASSERT_TRUE(plain) << plain.error().to_string();
  EXPECT_EQ(plain->request_path(), "resource/default/key/1");
  EXPECT_EQ(plain->host, "");
  const auto host = parse_resource_uri("kbs://broker:8080/default/key/1");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->host, "broker:8080");
  const auto plugin = parse_resource_uri("kbs+nebula-ca:///credential?name=a&ip=10.0.0.1/24");
  ASSERT_TRUE(plugin) << plugin.error().to_string();
  EXPECT_EQ(plugin->request_path(), "nebula-ca/credential?name=a&ip=10.0.0.1/24");
}

TEST(ResourceUri, RefusesOtherForms) {
  for (const char* uri :
       {"", "kbs", "kbs://", "kbs://host", "kbs:///a/b", "kbs:///a/b/c?d=e", "http:///a/b/c",
        "kbsx:///a/b/c", "kbs+:///a/b/c", "kbs+../x:///a/b/c", "kbs://h@x/a/b/c", "kbs:///a/../c",
        "kbs+p:///a?b#c", "kbs+p:///a?b\r\nX: y"}) {
    EXPECT_FALSE(parse_resource_uri(uri)) << uri;
  }
}

}  // namespace
}  // namespace coffer::protocol
