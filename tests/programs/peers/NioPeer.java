// SPDX-License-Identifier: BSD-2-Clause
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Iterator;
import java.util.Random;

/** NioPeer server|client HOST PORT - An echo over UDP and TCP by one selector, and who asks it. */
public class NioPeer {
	static final int ROUNDS = 2000;
	static final int RECORD = 512;

	static void server(InetSocketAddress at) throws Exception {
		Selector selector = Selector.open();
		ServerSocketChannel listener = ServerSocketChannel.open().bind(at);
		DatagramChannel datagrams = DatagramChannel.open().bind(at);
		ByteBuffer b = ByteBuffer.allocateDirect(70000);

		listener.configureBlocking(false).register(selector, SelectionKey.OP_ACCEPT);
		datagrams.configureBlocking(false).register(selector, SelectionKey.OP_READ);
		for (;;) {
			selector.select();
			for (Iterator<SelectionKey> i = selector.selectedKeys().iterator(); i.hasNext();) {
				SelectionKey k = i.next();

				i.remove();
				if (k.isAcceptable()) {
					SocketChannel c = listener.accept();

					if (c != null)
						c.configureBlocking(false).register(selector, SelectionKey.OP_READ);
				} else if (k.channel() == datagrams) {
					datagram(datagrams, b);
				} else {
					stream(k, b);
				}
			}
		}
	}

	static void datagram(DatagramChannel c, ByteBuffer b) throws Exception {
		b.clear();
		var from = c.receive(b);
		b.flip();
		if (from != null)
			c.send(b, from);
	}

	static void stream(SelectionKey k, ByteBuffer b) throws Exception {
		SocketChannel c = (SocketChannel)k.channel();

		b.clear();
		if (c.read(b) < 0) {
			c.close();
			return;
		}
		b.flip();
		while (b.hasRemaining())
			c.write(b);
	}

	static ByteBuffer random(Random r, int size) {
		byte[] data = new byte[size];

		r.nextBytes(data);
		return ByteBuffer.wrap(data);
	}

	/** Half of them by a channel that is connected, half by one that blocks and is not. */
	static int datagrams(InetSocketAddress to) throws Exception {
		DatagramChannel connected = DatagramChannel.open().connect(to);
		DatagramChannel free = DatagramChannel.open().bind(null);
		Selector selector = Selector.open();
		Random r = new Random(1);
		ByteBuffer got = ByteBuffer.allocateDirect(70000);
		int right = 0;

		connected.configureBlocking(false).register(selector, SelectionKey.OP_READ);
		for (int i = 0; i < ROUNDS; i++) {
			ByteBuffer data = random(r, i % 50 == 0 ? 60000 : r.nextInt(1400));

			got.clear();
			if (i % 2 == 0) {
				connected.write(data);
				if (selector.select(5000) == 0)
					throw new Exception("no answer");
				selector.selectedKeys().clear();
				connected.read(got);
			} else {
				free.send(data, to);
				if (!to.equals(free.receive(got)))
					throw new Exception("somebody else answered");
			}
			data.flip();
			got.flip();
			if (data.equals(got))
				right++;
		}
		return right;
	}

	static int records(InetSocketAddress to) throws Exception {
		SocketChannel c = SocketChannel.open(to);
		Random r = new Random(2);
		ByteBuffer got = ByteBuffer.allocateDirect(RECORD);
		int right = 0;

		for (int i = 0; i < ROUNDS; i++) {
			ByteBuffer data = random(r, RECORD);

			while (data.hasRemaining())
				c.write(data);
			got.clear();
			while (got.hasRemaining() && c.read(got) >= 0)
				continue;
			data.flip();
			got.flip();
			if (data.equals(got))
				right++;
		}
		c.close();
		return right;
	}

	public static void main(String[] args) throws Exception {
		InetSocketAddress at = new InetSocketAddress(args[1], Integer.parseInt(args[2]));

		if (args[0].equals("server"))
			server(at);
		System.out.println(datagrams(at) + " datagrams, " + records(at) + " records");
		System.exit(0);
	}
}
