from redis import Redis

from tests.services.redis import RedisServer, answers


def test_redis_of_the_run_answers(redis_url: str) -> None:
    assert answers(redis_url)


def test_keys_survive_a_crash(private_redis: RedisServer) -> None:
    with Redis.from_url(private_redis.url) as client:
        client.set("kept", "yes")
    private_redis.kill()
    assert not answers(private_redis.url)
    private_redis.start()
    with Redis.from_url(private_redis.url) as client:
        assert client.get("kept") == b"yes"
