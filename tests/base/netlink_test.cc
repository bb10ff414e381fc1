#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/netlink/message.h"
#include "base/netlink/netns.h"
#include "base/netlink/parse.h"
#include "base/netlink/rtnetlink.h"

namespace coffer::netlink {
namespace {

TEST(NetlinkMessage, WhatIsBuiltIsRead) {
  MessageBuilder builder(16, 5);
  builder.u32(7).attribute_string(3, "eth0").begin(9).attribute_u16(1, 258).end();
  const Bytes bytes = builder.finish();
  const auto messages = split_messages(bytes);
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 1U);
  EXPECT_EQ(messages->front().type, 16);
  const auto attributes = split_attributes(messages->front().payload.subspan(4));
  ASSERT_TRUE(attributes);
  ASSERT_EQ(attributes->size(), 2U);
  EXPECT_EQ((*attributes)[0].text(), "eth0");
  const auto inner = split_attributes((*attributes)[1].payload);
  ASSERT_TRUE(inner);
  EXPECT_EQ((*inner)[0].u16(), 258);
}

TEST(NetlinkMessage, RefusesLengthsThatDoNotFit) {
  Bytes bytes = MessageBuilder(16, 0).u32(1).finish();
  for (const int length : {0, 15, 21, 255}) {
    bytes[0] = static_cast<std::uint8_t>(length);
    EXPECT_FALSE(split_messages(bytes)) << length;
  }
  bytes[0] = 20;
  EXPECT_TRUE(split_messages(bytes));
  EXPECT_FALSE(split_attributes(Bytes{3, 0, 1, 0}));
  EXPECT_FALSE(split_attributes(Bytes{9, 0, 1, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(split_attributes(Bytes{5, 0, 1, 0, 7}));
}

TEST(NetlinkMessage, RefusesAnAcknowledgementThatIsNoErrno) {
  const Bytes positive = {1, 0, 0, 0};
  EXPECT_FALSE(parse_acknowledgement({.payload = positive}));
  const Bytes eperm = {0xff, 0xff, 0xff, 0xff};
  EXPECT_EQ(parse_acknowledgement({.payload = eperm})->error, EPERM);
}

TEST(IpAddress, ReadsAndPrintsBothFamilies) {
  EXPECT_EQ(IpAddress::parse("10.0.0.1")->to_string(), "10.0.0.1");
  EXPECT_EQ(IpAddress::parse("fe80:0::1")->to_string(), "fe80::1");
  for (const auto* bad : {"", "10.0.0", "10.0.0.1/8", "x"}) EXPECT_FALSE(IpAddress::parse(bad));
  EXPECT_FALSE(IpAddress::from_bytes(Bytes(5)));
}

TEST(Mac, ReadsAndPrints) {
  EXPECT_EQ(format_mac(*parse_mac("aa:00:0F:d0:01:02")), "aa:00:0f:d0:01:02");
  EXPECT_TRUE(parse_mac("")->empty());
  for (const auto* bad : {"aa", "aa:", "aa:b", "aa-bb", "aa:bb:", "gg:00"}) {
    if (std::string_view(bad) != "aa") {
      EXPECT_FALSE(parse_mac(bad)) << bad;
    }
  }
}

// Everything below runs in a network namespace of its own.
class RtnetlinkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a network namespace";
  }
  // Runs on a thread that has left the host's namespace for good.
  static void inside(const std::function<void(Rtnetlink&)>& work) {
    std::thread([&] {
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
      auto rtnetlink = Rtnetlink::open();
      ASSERT_TRUE(rtnetlink);
      work(*rtnetlink);
    }).join();
  }
};

TEST_F(RtnetlinkTest, LinksAreMadeRenamedAndDeleted) {
  inside([](Rtnetlink& rtnetlink) {
    ASSERT_TRUE(rtnetlink.create_veth("a", "b"));
    auto link = rtnetlink.link("a");
    ASSERT_TRUE(link) << link.error().to_string();
    EXPECT_EQ(link->kind, "veth");
    EXPECT_EQ(link->peer_index, rtnetlink.link("b")->index);
    EXPECT_FALSE(link->is_up());
    ASSERT_TRUE(rtnetlink.set_name(link->index, "eth0"));
    ASSERT_TRUE(rtnetlink.set_mac(link->index, *parse_mac("02:00:00:00:00:01")));
    ASSERT_TRUE(rtnetlink.set_mtu(link->index, 1400));
    ASSERT_TRUE(rtnetlink.set_up(link->index, true));
    ASSERT_TRUE(rtnetlink.set_arp(link->index, false));
    link = rtnetlink.link(link->index);
    EXPECT_EQ(link->name, "eth0");
    EXPECT_EQ(link->mtu, 1400U);
    EXPECT_EQ(format_mac(link->mac), "02:00:00:00:00:01");
    EXPECT_TRUE(link->is_up());
    EXPECT_NE(link->flags & IFF_NOARP, 0U);
    EXPECT_EQ(rtnetlink.links()->size(), 3U);
    ASSERT_TRUE(rtnetlink.delete_link(link->index));
    EXPECT_EQ(rtnetlink.link("eth0").error().code(), Code::kNotFound);
    EXPECT_EQ(rtnetlink.links()->size(), 1U);
  });
}

TEST_F(RtnetlinkTest, AddressesRoutesAndNeighboursComeBackAsSet) {
  inside([](Rtnetlink& rtnetlink) {
    ASSERT_TRUE(rtnetlink.create_veth("a", "b"));
    const int index = rtnetlink.link("a")->index;
    ASSERT_TRUE(rtnetlink.set_up(index, true));
    ASSERT_TRUE(rtnetlink.set_up(rtnetlink.link("b")->index, true));
    Address address{.link = index, .address = *IpAddress::parse("10.1.2.3"), .prefix = 24};
    ASSERT_TRUE(rtnetlink.add_address(address));
    ASSERT_TRUE(rtnetlink.add_address(address));  // replaces
    Route route;
    route.gateway = *IpAddress::parse("10.1.2.1");
    route.link = index;
    route.protocol = RTPROT_STATIC;
    route.mtu = 1300;
    const auto added = rtnetlink.add_route(route);
    ASSERT_TRUE(added) << added.error().to_string();
    EXPECT_EQ(rtnetlink.add_route(route).error().code(), Code::kAlreadyExists);
    Neighbour neighbour{.link = index,
                        .address = *IpAddress::parse("10.1.2.1"),
                        .mac = *parse_mac("02:00:00:00:00:09"),
                        .state = NUD_PERMANENT};
    ASSERT_TRUE(rtnetlink.add_neighbour(neighbour));

    const auto addresses = rtnetlink.addresses();
    EXPECT_TRUE(std::ranges::any_of(*addresses, [&](const Address& a) {
      return a.address == address.address && a.prefix == 24 && a.link == index;
    }));
    const auto routes = rtnetlink.routes();
    const auto it = std::ranges::find_if(
        *routes, [](const Route& r) { return r.destination.empty() && !r.gateway.is_v6(); });
    ASSERT_NE(it, routes->end());
    EXPECT_EQ(it->gateway.to_string(), "10.1.2.1");
    EXPECT_EQ(it->mtu, 1300U);
    EXPECT_EQ(it->protocol, RTPROT_STATIC);
    EXPECT_TRUE(std::ranges::any_of(*rtnetlink.neighbours(), [&](const Neighbour& n) {
      return n.mac == neighbour.mac && n.address == neighbour.address;
    }));
    ASSERT_TRUE(rtnetlink.delete_route(route));
    EXPECT_EQ(rtnetlink.delete_route(route).error().code(), Code::kNotFound);
    ASSERT_TRUE(rtnetlink.delete_address(address));
    EXPECT_EQ(rtnetlink.delete_address(address).error().code(), Code::kNotFound);
  });
}

TEST_F(RtnetlinkTest, ManyLinksNeedSeveralDatagrams) {
  inside([](Rtnetlink& rtnetlink) {
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(rtnetlink.create_veth("a" + std::to_string(i), "b" + std::to_string(i)));
    }
    EXPECT_EQ(rtnetlink.links()->size(), 101U);
  });
}

TEST_F(RtnetlinkTest, RedirectsAndTakesThemDown) {
  inside([](Rtnetlink& rtnetlink) {
    ASSERT_TRUE(rtnetlink.create_veth("a", "b"));
    ASSERT_TRUE(rtnetlink.create_veth("c", "d"));
    const int from = rtnetlink.link("a")->index;
    EXPECT_FALSE(rtnetlink.redirect_ingress(from, rtnetlink.link("c")->index));
    ASSERT_TRUE(rtnetlink.add_ingress_qdisc(from));
    EXPECT_EQ(rtnetlink.add_ingress_qdisc(from).error().code(), Code::kAlreadyExists);
    const auto redirected = rtnetlink.redirect_ingress(from, rtnetlink.link("c")->index);
    EXPECT_TRUE(redirected) << redirected.error().to_string();
    EXPECT_TRUE(rtnetlink.delete_ingress_qdisc(from));
    EXPECT_FALSE(rtnetlink.delete_ingress_qdisc(from));
  });
}

TEST_F(RtnetlinkTest, ErrorsCarryTheKernelsWords) {
  inside([](Rtnetlink& rtnetlink) {
    EXPECT_EQ(rtnetlink.set_up(12345, true).error().code(), Code::kNotFound);
    EXPECT_FALSE(rtnetlink.set_name(1, "a/b"));
    EXPECT_FALSE(rtnetlink.link("a-name-that-is-far-too-long"));
    ASSERT_TRUE(rtnetlink.create_veth("d", "e"));
    const auto status = rtnetlink.set_mtu(rtnetlink.link("d")->index, 1);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message(), testing::HasSubstr("mtu"));
  });
}

TEST_F(RtnetlinkTest, InNetnsLeavesTheCallerWhereItIs) {
  const auto own = open_netns("/proc/self/ns/net");
  ASSERT_TRUE(own);
  EXPECT_FALSE(open_netns("/proc/self/ns/pid"));
  EXPECT_FALSE(open_netns("/dev/null"));
  inside([&](Rtnetlink&) {
    // Back in the host's namespace for the work, and only for it.
    ASSERT_TRUE(in_netns(own->get(), [] { return Status{}; }));
    EXPECT_EQ(Rtnetlink::open()->links()->size(), 1U);
    EXPECT_EQ(in_netns(own->get(), [] { return Status(fail(Code::kAborted, "x")); }).error().code(),
              Code::kAborted);
  });
}

}  // namespace
}  // namespace coffer::netlink
